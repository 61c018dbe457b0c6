"""Every listing of the pages runs, and prints what the page shows."""

import importlib.util
import re

import pytest

from tests.listings import ROOT, listings, run, same

DOCS = ROOT / "docs"
PAGES = [DOCS / "index.md", DOCS / "tutorial.md", *sorted((DOCS / "guides").glob("*.md"))]
COURSE = sorted((DOCS / "course").glob("*.md"))
"""Experiments, which take longer."""
NEEDS = {"tutorial": ["polars"], "from-scikit-learn": ["sklearn"], "quantiles": ["sklearn"]}


def check(page, directory, monkeypatch):
    """Run a page's listings in an empty directory."""
    for name in NEEDS.get(page.stem, ()):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed")
    monkeypatch.chdir(directory)
    blocks = listings(page)
    for block, printed in zip(blocks, run(blocks), strict=True):
        if block.language == "python":
            shown = block.output or ""
            assert same(shown, printed), f"{block.body}\nshows\n{shown}\nand prints\n{printed}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_listings_run(page, tmp_path, monkeypatch):
    check(page, tmp_path, monkeypatch)


@pytest.mark.long
@pytest.mark.parametrize("page", COURSE, ids=lambda page: page.stem)
def test_listings_of_the_course_run(page, tmp_path, monkeypatch):
    check(page, tmp_path, monkeypatch)


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
