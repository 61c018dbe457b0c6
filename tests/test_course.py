"""The course's listings run, and its links lead somewhere."""

import re

import pytest

from tests.statements import COURSE, headings

PAGES = sorted(COURSE.glob("*.md"))
IDS = [page.stem for page in PAGES]


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_listings_run(page):
    names = {}
    blocks = re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    for block in blocks:
        exec(compile(block, page.name, "exec"), names)


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^):]+)\)", page.read_text()):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_file(), link
        assert not anchor or anchor in headings(target), link


def test_every_page_is_in_the_contents():
    linked = set(re.findall(r"\]\(([\w-]+\.md)\)", (COURSE / "index.md").read_text()))
    assert linked == {page.name for page in PAGES} - {"index.md"}
