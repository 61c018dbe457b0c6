"""The directive ``gallery``: every picture of the pages, with a link to where it is explained."""

from typing import Any

from docutils import nodes
from docutils.parsers.rst import Directive


class gallery(nodes.General, nodes.Element):  # noqa: N801  (Sphinx names handlers after it)
    """Where the pictures go once all pages have been read."""


class Gallery(Directive):
    """Leave a mark that `fill` replaces."""

    def run(self) -> list[nodes.Node]:
        return [gallery()]


def _pictures(app: Any) -> dict[str, tuple[str, str, str, str]]:
    """Return the page, anchor, heading and alternative text of the first place of each picture."""
    found: dict[str, tuple[str, str, str, str]] = {}
    env = app.builder.env
    for page in sorted(env.found_docs):
        for image in env.get_doctree(page).findall(nodes.image):
            section = image.parent
            while not isinstance(section, nodes.section | nodes.document):
                section = section.parent
            title = section.next_node(nodes.title)
            anchor = section["ids"][0] if section["ids"] else ""
            place = (page, anchor, title.astext() if title else page, image.get("alt", ""))
            found.setdefault(image["uri"], place)
    return found


def fill(app: Any, doctree: nodes.document, page: str) -> None:
    """Put the pictures where the directive stood."""
    for mark in list(doctree.findall(gallery)):
        tiles = nodes.container(classes=["gallery"])
        for uri, (source, anchor, title, alt) in _pictures(app).items():
            target = app.builder.get_relative_uri(page, source) + (f"#{anchor}" if anchor else "")
            link = nodes.reference("", "", refuri=target, internal=True)
            link += nodes.image(uri=uri, alt=alt, candidates={"*": uri}, loading="lazy")
            link += nodes.inline("", f"{title}: {alt.lower()}" if alt else title)
            tiles += nodes.container("", nodes.paragraph("", "", link), classes=["tile"])
        mark.replace_self(tiles)


def setup(app: Any) -> dict[str, bool]:
    """Register the directive."""
    app.add_node(gallery)
    app.add_directive("gallery", Gallery)
    app.connect("doctree-resolved", fill)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
