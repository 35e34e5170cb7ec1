"""Check built pages: nothing comes from another host, and the index reaches every page."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

_LOADS = {
    "audio": ("src",), "embed": ("src",), "iframe": ("src",), "img": ("src", "srcset"),
    "input": ("src",), "object": ("data",), "script": ("src",), "source": ("src", "srcset"),
    "track": ("src",), "video": ("src", "poster"), "use": ("href", "xlink:href"),
    "image": ("href", "xlink:href"),
}  # fmt: skip
"""By element: attributes whose address a browser fetches when it opens the page."""

_LOADED_RELATIONS = {
    "stylesheet", "icon", "preload", "prefetch", "preconnect", "dns-prefetch", "modulepreload",
    "manifest", "shortcut",
}  # fmt: skip
_CSS_ADDRESS = re.compile(r"(?:url\(\s*|@import\s+)['\"]?((?:https?:)?//[^'\")\s]+)")


class PageAddresses(HTMLParser):
    """Collect the addresses that a page loads, and those that it links to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.linked: list[str] = []
        self._in_style = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Record what one element loads or links to."""
        values = {name: value or "" for name, value in attrs}
        self._in_style = tag == "style"
        if tag == "a" and "href" in values:
            self.linked.append(values["href"])
        if tag == "link" and _LOADED_RELATIONS & set(values.get("rel", "").split()):
            self.loaded.append(values.get("href", ""))
        self.loaded += [values[name] for name in _LOADS.get(tag, ()) if name in values]
        self.loaded += _CSS_ADDRESS.findall(values.get("style", ""))

    def handle_data(self, data: str) -> None:
        """Record what an inline style sheet loads."""
        if self._in_style:
            self.loaded += _CSS_ADDRESS.findall(data)
            self._in_style = False


def find_faults(site: Path) -> list[str]:
    """Name every request to another host, and every page that no path of links reaches."""
    pages = {
        path.resolve(): PageAddresses(path.read_text(encoding="utf-8"))
        for path in sorted(site.rglob("*.html"))
    }
    faults = [
        f"{path.relative_to(site.resolve())} loads {address} from another host"
        for path, page in pages.items()
        for address in page.loaded
        if is_external(address)
    ]
    for sheet in sorted(site.rglob("*.css")):
        found = _CSS_ADDRESS.findall(sheet.read_text(encoding="utf-8"))
        faults += [f"{sheet.relative_to(site)} loads {each} from another host" for each in found]
    return faults + [
        f"{path.relative_to(site.resolve())} is reached by no link from index.html"
        for path in sorted(set(pages) - _reachable(site.resolve(), pages))
        if path.name != "404.html"
    ]


def is_external(address: str) -> bool:
    """Tell whether an address names a host."""
    parts = urlsplit(address.strip())
    return bool(parts.netloc) and parts.scheme in {"", "http", "https", "ws", "wss"}


def _reachable(site: Path, pages: dict[Path, PageAddresses]) -> set[Path]:
    reached: set[Path] = set()
    waiting = [site / "index.html"]
    while waiting:
        path = waiting.pop()
        if path in pages and path not in reached:
            reached.add(path)
            waiting += _local_targets(path, pages[path].linked)
    return reached


def _local_targets(page: Path, addresses: list[str]) -> Iterator[Path]:
    for address in addresses:
        parts = urlsplit(address)
        if not parts.netloc and not parts.scheme and parts.path:
            yield (page.parent / unquote(parts.path)).resolve()
