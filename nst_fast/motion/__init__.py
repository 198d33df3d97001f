"""How what a camera sees moves from one frame to another."""
