"""Everything the catalogue lists exists, and its page is up to date."""

import pytest

import fastnn
from fastnn import (
    activations,
    constraints,
    initializers,
    layers,
    losses,
    metrics,
    optimizers,
    regularizers,
    schedules,
)
from fastnn.preprocessing import chain
from tests.catalogue import PAGE, ROWS, page, resolve

NAMES = [name for rows in ROWS.values() for name in rows.values()]


@pytest.mark.parametrize("name", NAMES)
def test_row_exists_and_is_documented(name):
    assert callable(resolve(name)) and resolve(name).__doc__


FAMILIES = activations, chain, constraints, layers, losses, optimizers, regularizers, schedules
REGISTRIES = {family.__name__: family.TABLE.values() for family in FAMILIES} | {
    "initializers": initializers.INITIALIZERS.values(),
    "metrics": [type(f) if isinstance(f, metrics.TopK) else f for f, *_ in metrics.TABLE.values()],
}


@pytest.mark.parametrize("registry", REGISTRIES)
def test_everything_registered_has_a_row(registry):
    assert set(REGISTRIES[registry]) <= {resolve(name) for name in NAMES}


def test_everything_public_has_a_row():
    assert {f"fastnn.{name}" for name in fastnn.__all__} - set(NAMES) == {
        "fastnn.FitManyError",
        "fastnn.RankError",
    }


def test_page_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == page(), "run python -m tests.catalogue"
