"""Follows every link of a built site: files and anchors must exist, and no page may load anything from elsewhere."""

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

# What a browser fetches by itself, in contrast to what a reader may click on.
_LOADED = {("img", "src"), ("script", "src"), ("link", "href"), ("iframe", "src"), ("source", "src")}
_LINKS_WITHOUT_LOADING = {"canonical", "next", "prev", "alternate"}


class _Page(HTMLParser):
    """Collects the anchors and the targets of one page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.targets: list[tuple[str, bool]] = []  # and whether the browser loads it by itself
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.anchors |= {values[name] for name in ("id", "name") if values.get(name)}
        for name in ("href", "src"):
            if name in values:
                loaded = (tag, name) in _LOADED and values.get("rel") not in _LINKS_WITHOUT_LOADING
                self.targets.append((values[name], loaded))


def find_faults(site: Path) -> list[str]:
    """Each link that leads to no file or anchor of the site, and each address that a page loads from elsewhere.

    Returns:
        Lines such as `docs/live.html: absent.html`, in order.
    """
    pages = {path: _Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    faults = []
    for path, page in pages.items():
        if path == site / "404.html":  # its links are absolute, for a server that knows the site's address
            continue
        for target, loaded in page.targets:
            address = urlsplit(target)
            if address.scheme or address.netloc:
                outside = loaded and address.scheme != "data"
                faults += [f"{path.relative_to(site).as_posix()}: loads {target}"] if outside else []
                continue
            file = path if not address.path else (path.parent / unquote(address.path)).resolve()
            if file.is_dir():
                file /= "index.html"
            anchor = unquote(address.fragment)
            known = pages.get(file)
            if not file.is_file() or (anchor and known is not None and anchor not in known.anchors):
                faults.append(f"{path.relative_to(site).as_posix()}: {target}")
    return faults
