"""Every argument of every public kernel is checked at its door, before anything is compiled."""

from types import FunctionType

import numpy as np
import pytest

from fastnn.kernels import KERNELS
from fastnn.kernels.refusals import refusal
from tests.cases import BY_NAME, CASES
from tests.fuzz.doors import call_anyhow, call_wrongly, wrong

REFUSED = 1


def _interpreted(kernel):
    """Return the generated check as plain Python: none of these calls needs a compiler."""
    checked = kernel._checked.py_func
    plain = {"address_of": lambda array: array.ctypes.data, "kernel": lambda *_: None}
    return FunctionType(checked.__code__, checked.__globals__ | plain)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_fault_of_each_argument_is_one_clear_error(case):
    kernel, rng = KERNELS[case.name], np.random.default_rng(0)
    made = case.make(rng, np.float32, *(4, 3, 2)[: case.dimensions])
    checked = _interpreted(kernel)
    assert refusal(case.name, case.contract, tuple(made.values())) is None
    assert checked(*made.values()) != REFUSED
    compiled = list(kernel._checked.signatures)
    with np.errstate(all="ignore"):
        for what, bad in wrong(case, made):
            given = made | bad
            call_wrongly(case, given, tuple(bad), what)
            if isinstance(refusal(case.name, case.contract, tuple(given.values())), ValueError):
                assert checked(*given.values()) == REFUSED, what
    values = tuple(made.values())
    for given in (values[:-1], (*values, 1.0)):
        with pytest.raises(TypeError, match=f"{case.name}: {len(values)} arguments wanted"):
            kernel(*given)
    assert kernel._checked.signatures == compiled


@pytest.mark.parametrize("name", ["l1_value", "batch_rows", "tree_probabilities"])
def test_a_compiled_door_refuses_the_same(name):
    assert sum(call_anyhow(BY_NAME[name], np.random.default_rng(seed)) for seed in range(20))
