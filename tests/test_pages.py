"""Every listing of the pages runs, and prints what the page shows."""

import importlib.util
import re
import runpy
import shlex

import pytest

from bench import report
from fastnn.cli.parser import parser
from tests.listings import ROOT, listings, run, same

DOCS = ROOT / "docs"
PAGES = [
    *(DOCS / f"{name}.md" for name in ("index", "tutorial", "export", "scikit-learn")),
    *sorted((DOCS / "guides").glob("*.md")),
]
NEEDS = {
    "big-data": ["polars", "pyarrow"],
    "tutorial": ["polars"],
    "from-scikit-learn": ["sklearn"],
    "quantiles": ["sklearn"],
}
NEEDS |= {
    "export": ["onnxruntime"],
    "mpi": ["mpi4py"],
    "import": ["torch", "keras", "onnx"],
    "scikit-learn": ["sklearn"],
    "tables": ["pandas"],
}
COMMANDS = [
    (page.stem, line)
    for page in sorted(DOCS.rglob("*.md"))
    for block in re.findall(r"^```.*?^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    for line in re.findall(r"^(?:python -m )?fastnn (.*)$", block, re.MULTILINE)
] + [
    (page.stem, line)
    for page in sorted(DOCS.rglob("*.md"))
    for line in re.findall(r"`python -m fastnn (bench[^`]*)`", page.read_text("utf-8"))
]


def check(page, directory, monkeypatch):
    """Run a page's listings and commands in an empty directory."""
    for name in NEEDS.get(page.stem, ()):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed")
    monkeypatch.chdir(directory)
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    blocks = listings(page)
    for block, printed in zip(blocks, run(blocks), strict=True):
        if block.language == "python":
            shown = block.output or ""
            assert same(shown, printed), f"{block.body}\nshows\n{shown}\nand prints\n{printed}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_listings_run(page, tmp_path, monkeypatch):
    assert listings(page)
    check(page, tmp_path, monkeypatch)


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of Keras
@pytest.mark.parametrize("name", ["import", "tables"])
def test_listings_that_take_long_run(name, tmp_path, monkeypatch):
    check(DOCS / f"{name}.md", tmp_path, monkeypatch)


@pytest.mark.parametrize(("page", "line"), COMMANDS)
def test_commands_are_understood(page, line):
    command, *arguments = shlex.split(line, comments=True)
    if command == "bench":
        report.parse(arguments)  # it has its own parser
    else:
        parser().parse_args([command, *arguments])


def test_an_output_that_differs_is_found(tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    page.write_text("```python\nprint(2.0)\n```\n\n```text\n3.0\n```\n", encoding="utf-8")
    with pytest.raises(AssertionError, match="shows"):
        check(page, tmp_path, monkeypatch)


def test_questions_are_answered_in_two_clicks():
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    for answer in (
        "guides/not-learning.md#a-relu-network-under-the-absolute-error",
        "guides/not-learning.md#a-bad-start",
        "guides/sparse.md#which-l1",
    ):
        assert f"({answer})" in index
        page, _, anchor = answer.partition("#")
        headings = re.findall(r"^#+ (.*)$", (DOCS / page).read_text(encoding="utf-8"), re.MULTILINE)
        assert anchor in [heading.lower().replace(" ", "-") for heading in headings]


def test_what_is_wrong_with_a_page_is_found(tmp_path):
    problems = runpy.run_path(str(DOCS / "extensions" / "links.py"))["problems"]
    good = '<meta name="viewport"><p id="here"><a href="a.html#here"></a><a href="#here"></a>'
    (tmp_path / "a.html").write_text(good + '<img src="a.html" alt="it">', encoding="utf-8")
    assert problems(tmp_path) == []
    for planted, words in {
        '<a href="b.html"></a>': "which does not exist",
        '<a href="#there"></a>': "which has no such place",
        '<a href="a.html#there"></a>': "which has no such place",
        '<img src="a.html">': "has no text",
        '<script src="https://example.org/a.js"></script>': "fetches",
        f"<!-- {'x' * 1_000_000} -->": "bytes",
    }.items():
        (tmp_path / "a.html").write_text(good + planted, encoding="utf-8")
        (found,) = problems(tmp_path)
        assert words in found
    (tmp_path / "a.html").write_text("<p>", encoding="utf-8")
    assert "viewport" in problems(tmp_path)[0]
