"""The model of thread scaling adds up, and its page shows the stored results."""

import json
from pathlib import Path

import pytest

from bench import scaling, scaling_tables
from bench.tables import between_markers

ROOT = Path(__file__).resolve().parent.parent


def entry():
    """Return costs as if measured, in round numbers: 100 and 20 batches an epoch."""
    steps = [
        {"threads": n, "whole": 0.01, "shared": 0.16 / n + 0.001 * (n > 1)} for n in scaling.COUNTS
    ]
    moved = {"between": 64_000, "memory": 0}
    handed = [{"read": 1e-6, "written": 2e-6} for _ in scaling.COUNTS[1:]]
    common = {"barriers": 2, "moved": moved}
    large = common | {"moved": {"between": 64_000, "memory": 10**9}}
    one = [each | {"counts": steps, "epoch": 0.17} for each in (common, large)]
    two = [each | {"handed": handed, "epoch": 0.1} for each in (common, large)]
    return {
        "date": "2020-01-01",
        "cpu": "CPU",
        "one": {"bandwidth": 2e10, "works": one},
        "two": {"bandwidth": 3.2e10, "barrier": 1e-7, "works": two},
    }


def test_one_thread_has_nothing_to_share():
    terms = scaling.terms(entry(), 0, 1)
    assert sum(terms.values()) == pytest.approx(0.17)
    assert set(scaling.losses(entry(), 0, 1).values()) == {0.0}


def test_terms_of_four_threads():
    assert scaling.terms(entry(), 0, 4) == pytest.approx(
        {"whole": 0.01, "shares": 0.041, "barriers": 6e-5, "between cores": 5e-4, "memory": 0}
    )
    # a quarter of 20 GB, at 16 GB/s per core instead of 20
    assert scaling.terms(entry(), 1, 4)["memory"] == pytest.approx(5 / 16 - 5 / 20)
    assert scaling.memory_floor(entry(), 1) == pytest.approx(20 / 32)


def test_what_is_lost_is_what_does_not_divide():
    lost = scaling.losses(entry(), 0, 4)
    assert lost == pytest.approx(
        {"whole": 0.0075, "shares": 0.001, "barriers": 6e-5, "between cores": 5e-4, "memory": 0}
    )
    row = scaling_tables.cells(entry(), 0)[1 + scaling.COUNTS.index(4)]
    assert row[:2] == ["4", "32"] and row[-1] == "whole"


def test_measured_and_predicted_stand_side_by_side():
    head, one, two, *rest = scaling_tables.cells(entry(), 0)
    place = head.index("measured")
    assert one[place : place + 2] == ["170", "1.00"]
    assert two[place] == "100"
    assert all(row[place : place + 2] == ["-", "-"] for row in rest)


def test_page_shows_the_stored_results():
    page = (ROOT / "docs" / "threads.md").read_text(encoding="utf-8")
    stored = json.loads((ROOT / "bench" / "results" / "report.json").read_text(encoding="utf-8"))
    assert between_markers(page) == scaling_tables.block(stored["scaling"])
