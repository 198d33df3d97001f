"""The README as a package index shows it: hatchling loads this file when it builds a wheel or an sdist.

Relative links and pictures work in the repository but not on an index's page. Where `[project.urls]` in pyproject.toml
names a `Repository`, they become absolute addresses of the tag of this version, so the page of an old release keeps
its pictures. Without it they stay as they are.
"""

import re
from pathlib import Path

from hatchling.metadata.plugin.interface import MetadataHookInterface

PICTURE = re.compile(r"(!\[[^\]]*\]\()(?![a-z+]+:|#)([^)\s]+)")
LINK = re.compile(r"((?<!!)\[(?:[^\[\]]|!\[[^\]]*\]\([^)]*\))*\]\()(?![a-z+]+:|#)([^)\s]+)")


def make_links_absolute(readme: str, repository: str, tag: str) -> str:
    """Point the relative links and pictures of a Markdown text at a tag of its repository."""
    base = repository.rstrip("/")
    readme = PICTURE.sub(rf"\g<1>{base}/raw/{tag}/\g<2>", readme)
    return LINK.sub(rf"\g<1>{base}/blob/{tag}/\g<2>", readme)


class ReadmeHook(MetadataHookInterface):
    """Sets the `readme` of the project's metadata."""

    def update(self, metadata: dict) -> None:
        """Add the README; `metadata` is the [project] table and is changed in place."""
        text = Path(self.root, "README.md").read_text(encoding="utf-8")
        repository = metadata.get("urls", {}).get("Repository")
        if repository:
            text = make_links_absolute(text, repository, f"v{metadata['version']}")
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
