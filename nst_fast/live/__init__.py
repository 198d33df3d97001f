"""The live page: a local server, and the page that it serves."""
