"""The directive ``kernels``: every kernel with its twin, which defines it."""

import inspect
import itertools
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

from fastnn import reference
from fastnn.kernels import KERNELS


def _file(name: str) -> str:
    return str(getattr(reference, name).__module__).rpartition(".")[2]


class Kernels(SphinxDirective):
    """One section for each file of `fastnn.reference`."""

    def run(self) -> list[nodes.Node]:
        sections: list[nodes.Node] = []
        for file, names in itertools.groupby(sorted(KERNELS, key=lambda n: (_file(n), n)), _file):
            title = file.replace("_", " ").capitalize()
            section = nodes.section("", nodes.title("", title), ids=[f"file-{file}"])
            lines: list[str] = []
            for name in names:
                twin = getattr(reference, name)
                source = inspect.getsource(inspect.unwrap(twin))
                lines += [f".. py:function:: fastnn.kernels.{name}{inspect.signature(twin)}", ""]
                lines += ["   .. code-block:: python", ""]
                lines += [f"      {line}".rstrip() for line in source.splitlines()] + [""]
            self.state.nested_parse(StringList(lines, source=file), 0, section)
            sections.append(section)
        return sections


def setup(app: Any) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("kernels", Kernels)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
