"""What is wrong with pages of HTML: dead links, things fetched from elsewhere, size, pictures."""

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LARGEST = 1_000_000
"""Bytes of a page."""


class Page(HTMLParser):
    """The links, anchors and resources of one page."""

    def __init__(self, path: Path):
        super().__init__()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.anchors: set[str] = set()
        self.problems: list[str] = []
        self.viewport = False
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what the tag refers to."""
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif tag == "link" and given.get("rel") in ("stylesheet", "icon", "preload"):
            self.fetched.append(given["href"])
        elif "src" in given:
            self.fetched.append(given["src"])
        if tag == "img" and not given.get("alt", "").strip():
            self.problems.append(f"picture {given.get('src')} has no text")
        self.viewport |= tag == "meta" and given.get("name") == "viewport"


def problems(site: Path) -> list[str]:
    """Return what is wrong with the pages below a directory, each after the page's name."""
    site = site.resolve()
    pages = {path: Page(path) for path in sorted(site.rglob("*.html"))}
    found = []
    for path, page in pages.items():
        name = path.relative_to(site)
        found += [f"{name}: {problem}" for problem in page.problems]
        if path.stat().st_size > LARGEST:
            found.append(f"{name}: {path.stat().st_size:,} bytes, at most {LARGEST:,} are allowed")
        if not page.viewport:
            found.append(f"{name}: no viewport, so phones show it tiny")
        for link in page.fetched:
            if urlsplit(link).netloc:
                found.append(f"{name}: fetches {link}")
        for link in page.links + page.fetched:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue  # elsewhere
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.is_file():
                found.append(f"{name}: link to {link}, which does not exist")
            elif parts.fragment and target in pages:
                if unquote(parts.fragment) not in pages[target].anchors:
                    found.append(f"{name}: link to {link}, which has no such place")
    return found
