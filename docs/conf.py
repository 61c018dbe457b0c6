"""How Sphinx builds the site: ``sphinx-build -W --keep-going docs build/site``."""

import re
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "extensions"), str(HERE.parent)]

from fastnn import __version__ as release  # noqa: E402, F401

project = "fastnn"
author = copyright = "fastnn developers"
extensions = [
    "sphinx.ext.autodoc",
    "numpydoc",
    "myst_parser",
    "mathml",
    "gallery",
    "kernel_list",
    "checked",
]
exclude_patterns = ["extensions", "static"]
default_role = "py:obj"  # `name` in a docstring is a link if there is such a name, else code
highlight_language = "none"
smartquotes = False  # they would change code in types, such as {"real", "count"}
suppress_warnings = ["ref.python"]  # a name that several classes have

myst_enable_extensions = ["dollarmath", "colon_fence", "attrs_inline"]
myst_fence_as_directive = ["math"]
myst_heading_anchors = 4

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings say the types
add_module_names = False
numpydoc_show_class_members = False

html_theme = "furo"
html_title = "fastnn"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
html_math_renderer = "mathml"
html_theme_options = {"navigation_with_keys": True}
pygments_style = "friendly"
pygments_dark_style = "monokai"


def _only_written(app: Any, page: str, source: list[str]) -> None:
    """Leave pages of the course that are not there out of the navigation."""

    def kept(entry: re.Match[str]) -> str:
        return entry[0] if (HERE / f"{entry[1]}.md").exists() else ""

    if page == "index":
        source[0] = re.sub(r"^(course/[\w-]+)\n", kept, source[0], flags=re.MULTILINE)


def setup(app: Any) -> None:
    """Connect what is no extension."""
    app.connect("source-read", _only_written)
