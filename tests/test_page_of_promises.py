"""docs/testing.md has the numbers of today, and every promise has its tests."""

from pathlib import Path

import pytest

from tests import long_runs
from tests.conftest import COLLECTED
from tests.promises import PAGE, PROMISES, collected, count, page


@pytest.fixture(scope="module")
def nodes(request):
    """The names of all tests: of this session if it has all files, or of another collection."""
    here = request.session.stash[COLLECTED]
    files = {path.name for path in Path(__file__).parent.glob("test_*.py")}
    whole = {Path(node.split("::")[0]).name for node in here} > files
    return here if whole else collected()


def test_the_page_is_up_to_date(nodes):
    assert PAGE.read_text(encoding="utf-8") == page(nodes), "run python -m tests.promises"


def test_every_promise_has_tests(nodes):
    for promises in PROMISES.values():
        for beginnings in promises.values():
            for beginning in beginnings:
                assert count(nodes, beginning), beginning


def test_a_long_run_is_kept_beside_the_others(monkeypatch, tmp_path):
    monkeypatch.setattr(long_runs, "RECORD", tmp_path / "record.json")
    long_runs.record("one", "run one", {"cases": 1})
    long_runs.record("two", "run two", {"cases": 2})
    long_runs.record("one", "run one again", {"cases": 3})
    found = long_runs.read()
    assert set(found) == {"one", "two"} and found["two"]["counts"] == {"cases": 2}
    assert (found["one"]["command"], found["one"]["counts"]) == ("run one again", {"cases": 3})
