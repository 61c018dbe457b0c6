"""Every argument of every public kernel is checked at its door, before anything is compiled."""

from types import FunctionType

import numpy as np
import pytest

from fastnn import kernels
from fastnn.kernels import KERNELS
from fastnn.kernels.refusals import refusal
from fastnn.reference import TWINS
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
            if isinstance(call_wrongly(case, given, tuple(bad), what), ValueError):
                assert checked(*given.values()) == REFUSED, what
    values = tuple(made.values())
    for given in (values[:-1], (*values, 1.0)):
        with pytest.raises(TypeError, match=f"{case.name}: {len(values)} arguments wanted"):
            kernel(*given)
    assert kernel._checked.signatures == compiled


def test_a_compiled_door_refuses_the_same():
    for seed in range(10):
        assert call_anyhow(BY_NAME["l1_value"], np.random.default_rng(seed))


def test_the_order_of_bytes_is_seen_after_read_only_arrays_too():
    w, total = np.broadcast_to(1.0, 1), np.zeros(1)
    kernels.l1_value(0.5, w, total)
    with pytest.raises(TypeError, match="l1_value: w is of the dtype >f8"):
        kernels.l1_value(0.5, np.broadcast_to(np.array(1.0, ">f8"), 1), total)
    assert total == 0.5


def test_arrays_that_only_interlock_are_taken():
    rows = np.arange(12.0).reshape(6, 2)
    taken, place = rows[::2], rows[1:2]
    kernels.gather_rows(taken, np.array([2]), place)
    np.testing.assert_array_equal(rows[1], rows[4])
    with pytest.raises(ValueError, match="gather_rows: out shares memory with source"):
        kernels.gather_rows(taken, np.array([2]), rows[2:3])


def test_a_mask_is_not_ignored():
    masked = np.ma.masked_array(np.ones((1, 2)))
    error = refusal("tanh_forward", BY_NAME["tanh_forward"].contract, (masked, masked.data.copy()))
    assert "x is a masked array" in str(error)


def test_a_tree_without_nodes_has_one_class():
    none, nodes = np.zeros(0), np.zeros(0, np.int64)
    for table in (KERNELS, TWINS):
        out = np.zeros((2, 1))
        table["tree_probabilities"](none, nodes, nodes, np.zeros((2, 0)), out)
        assert out.tolist() == [[1.0], [1.0]]


def test_factors_of_a_very_late_update_take_no_time():
    for step in (10**4, 10**9, 2**62):
        ours, theirs = np.zeros(2), np.zeros(2)
        BY_NAME["nadam_factors"].compiled(0.9999999, 1.0, step, ours)
        TWINS["nadam_factors"](0.9999999, 1.0, step, theirs)
        np.testing.assert_allclose(ours, theirs, rtol=1e-9)


def test_unaligned_arrays_are_refused():
    # Not through the door: after one, Numba mistakes arrays with another order of bytes.
    case = BY_NAME["tanh_forward"]
    x = np.zeros(17, np.uint8)[1:].view(np.float64).reshape(1, 2)
    error = refusal(case.name, case.contract, (x, np.zeros((1, 2))))
    assert "x is not aligned in memory" in str(error)
    assert _interpreted(KERNELS[case.name])(x, np.zeros((1, 2))) == REFUSED


def test_columns_beyond_the_nodes_are_no_nodes():
    case = BY_NAME["tree_update"]
    made = case.make(np.random.default_rng(0), np.float64, 2000, 3)
    ends = []
    for first, last in ((0, 6), (-5, 2**62)):
        given = {name: np.copy(v) if np.ndim(v) else v for name, v in made.items()}
        case.compiled(*(given | {"first": first, "last": last}).values())
        ends.append(given["w"].tobytes() + given["b"].tobytes())
    assert ends[0] == ends[1]
