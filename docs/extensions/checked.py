"""What must hold of the finished site: each breach is a warning, and `-W` makes it an error.

Every internal link and anchor exists, nothing is fetched from elsewhere, no page is large, every
picture has a text, pages fit phones, and the reference has every public name.
"""

import importlib
from pathlib import Path
from typing import Any

from docutils import nodes
from links import problems
from sphinx.util import logging

LOGGER = logging.getLogger(__name__)
COMPLETE = (
    "fastnn", "fastnn.callbacks", "fastnn.comparison", "fastnn.datasets", "fastnn.diagnosis",
    "fastnn.export", "fastnn.flow", "fastnn.importing", "fastnn.layers", "fastnn.losses",
    "fastnn.optimizers",
    "fastnn.preprocessing", "fastnn.sklearn", "fastnn.tabular",
)  # fmt: skip
"""Modules whose public names the reference must have, under whatever module it shows them."""
INTERNAL = {"Logs", "TABLE", "as_chain", "get"}


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
