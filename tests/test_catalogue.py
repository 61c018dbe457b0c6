"""Everything the catalogue lists exists, and its page is up to date."""

import pytest

from fastnn import activations, losses, optimizers, regularizers
from tests.catalogue import PAGE, ROWS, page, resolve

NAMES = [name for rows in ROWS.values() for name in rows.values()]


@pytest.mark.parametrize("name", NAMES)
def test_row_exists_and_is_documented(name):
    assert callable(resolve(name)) and resolve(name).__doc__


@pytest.mark.parametrize("family", [activations, losses, optimizers, regularizers])
def test_everything_registered_has_a_row(family):
    kinds = {kind for kind in family.TABLE.values() if isinstance(kind, type)}
    assert kinds and kinds <= {resolve(name) for name in NAMES}


def test_page_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == page(), "run python -m tests.catalogue"
