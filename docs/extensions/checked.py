"""What must hold of the finished site: each breach is a warning, and `-W` makes it an error.

Every internal link and anchor exists, nothing is fetched from elsewhere, no page is large, every
picture has a text, pages fit phones, and the reference has every public name.
"""

import importlib
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from docutils import nodes
from sphinx.util import logging

LOGGER = logging.getLogger(__name__)
LARGEST = 1_000_000
"""Bytes of a page."""
COMPLETE = (
    "fastnn", "fastnn.callbacks", "fastnn.comparison", "fastnn.datasets", "fastnn.diagnosis",
    "fastnn.export", "fastnn.layers", "fastnn.losses", "fastnn.optimizers",
    "fastnn.preprocessing", "fastnn.sklearn", "fastnn.tabular",
)  # fmt: skip
"""Modules whose public names the reference must have, under whatever module it shows them."""
INTERNAL = {"Logs", "TABLE", "as_chain", "get"}


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


def missing_names(documented: set[str]) -> list[str]:
    """Return the public names that the reference lacks."""
    last = {name.rpartition(".")[2] for name in documented}
    return [
        f"{module}.{name}"
        for module in COMPLETE
        for name in importlib.import_module(module).__all__
        if name not in last | INTERNAL
    ]


def check(app: Any, error: Exception | None) -> None:
    """Warn of everything that is wrong."""
    if error is None and app.builder.format == "html":
        for problem in problems(Path(app.outdir)):
            LOGGER.warning("%s", problem)
        objects = app.env.get_domain("py").objects
        for name in missing_names(set(objects)):
            LOGGER.warning("the reference lacks %s", name)


def link_to_class(app: Any, env: Any, node: nodes.Element, content: nodes.Node) -> Any:
    """Let `Dense` in a docstring link to the one class of that name, in whatever module."""
    wanted = str(node.get("reftarget", "")).removeprefix("fastnn.")
    if node.get("refdomain") != "py" or not wanted[:1].isupper():
        return None
    domain = env.get_domain("py")
    kinds = ("class", "exception")
    places = [
        name
        for name, entry in domain.objects.items()
        if name.endswith(f".{wanted}") and entry.objtype in kinds
    ]
    if len(places) != 1:
        return None
    entry = domain.objects[places[0]]
    target = app.builder.get_relative_uri(node.get("refdoc", env.docname), entry.docname)
    return nodes.reference("", "", content, internal=True, refuri=f"{target}#{entry.node_id}")


def setup(app: Any) -> dict[str, bool]:
    """Check each build at its end."""
    app.connect("build-finished", check)
    app.connect("missing-reference", link_to_class)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
