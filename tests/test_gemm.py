"""The products below the public kernels: the micro-kernel alone, and tiles of any width."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numba.core.errors import TypingError

from fastnn.kernels import COMPILED
from fastnn.kernels.gemm import dot, loops
from fastnn.kernels.gemm.microkernel import multiply_column
from fastnn.kernels.gemm.structures import Dims, Prefetch, matrix, moved, overwrite
from fastnn.kernels.gemm.tiles import TILE
from fastnn.kernels.jit import njit
from tests.cases import DTYPES, normal

ROOT = Path(__file__).parent.parent

each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)


@njit(cached=False)
def _columns(a, b, c):
    """Compute C column by column of tiles; return how many columns they had together."""
    one, zero, j = c.dtype.type(1), np.int64(0), np.int64(0)
    prefetch = Prefetch(zero, zero, zero, zero, False)
    while j < c.shape[1]:
        dims = Dims(c.shape[0], c.shape[1] - j, a.shape[1])
        right, out = moved(matrix(b, one), 0, j), moved(matrix(c, one), 0, j)
        j += multiply_column(dims, matrix(a, one), right, out, overwrite(one), prefetch)
    return j


@pytest.mark.parametrize("dtype", [np.float32, pytest.param(np.float64, marks=pytest.mark.long)])
def test_the_micro_kernel_keeps_its_contract(dtype):
    rng, lanes = np.random.default_rng(0), TILE.vector_bytes // np.dtype(dtype).itemsize
    nr = TILE.widths[0] * lanes
    for k in (0, 1, 7, 100):
        a, b = normal(rng, dtype, 2 * TILE.mr + 1, k), normal(rng, dtype, k, 2 * nr)
        alone = np.empty((len(a), 2 * nr), dtype)
        for i in range(len(alone)):
            for j in range(2 * nr):
                _columns(a[i : i + 1], b[:, j : j + 1], alone[i : i + 1, j : j + 1])
        np.testing.assert_allclose(alone, a @ b, atol=(k + 1) * np.finfo(dtype).eps * 4)
        for m in range(1, len(a) + 1):
            for n in (1, lanes - 1, lanes, lanes + 1, nr - 1, nr, nr + 1, 2 * nr):
                room = np.full((m + 2, n + 2), 3, dtype)
                assert _columns(a[:m], b[:, :n], room[1:-1, 1:-1]) == n
                assert room[1:-1, 1:-1].tobytes() == alone[:m, :n].tobytes(), (m, n, k)
                room[1:-1, 1:-1] = 3
                assert (room == 3).all(), (m, n, k)


@each_dtype
def test_how_b_is_stored_does_not_change_the_bits(dtype):
    rng, lanes = np.random.default_rng(0), TILE.vector_bytes // np.dtype(dtype).itemsize
    for k in (1, lanes - 1, lanes, lanes + 1, 2 * lanes, loops.KC + 3, 2 * loops.KC):
        for n in (2, lanes, 2 * lanes + 1, 5 * lanes):
            a, b = normal(rng, dtype, TILE.mr + 1, k), normal(rng, dtype, k, n)
            by_columns = np.ascontiguousarray(b.T)
            for m in range(1, len(a) + 1):
                by_rows, other = np.empty((m, n), dtype), np.empty((m, n), dtype)
                COMPILED["matmul_nn"](a[:m], b, by_rows)
                COMPILED["matmul_nn"](a[:m], by_columns.T, other)
                assert by_rows.tobytes() == other.tobytes(), (m, n, k)


@each_dtype
def test_one_row_has_the_bits_of_several_wherever_b_begins(dtype):
    rng, lanes = np.random.default_rng(0), TILE.vector_bytes // np.dtype(dtype).itemsize
    flat = 2 * TILE.widths[0] * lanes
    for k in (1, 8, 21, loops.KC + 3):
        for n in (lanes + 1, flat - 1, flat + 1, 2 * flat, 2 * flat + 3):
            for start in (0, 1, lanes - 1):
                b = normal(rng, dtype, k * n + lanes)[start : start + k * n].reshape(k, n)
                a, two = normal(rng, dtype, 2, k), np.empty((2, n), dtype)
                COMPILED["matmul_nn"](a, b, two)
                room = np.full(n + 2, 3, dtype)
                COMPILED["matmul_nn"](a[:1], b, room[1:-1].reshape(1, n))
                assert room[1:-1].tobytes() == two[0].tobytes(), (k, n, start)
                assert room[0] == room[-1] == 3


@each_dtype
def test_inner_products_have_the_bits_of_each_alone(dtype):
    rng, lanes = np.random.default_rng(0), TILE.vector_bytes // np.dtype(dtype).itemsize
    most = dot.INNER_MOST_M
    for k in (8 * lanes, 8 * lanes + 3):
        a, b = normal(rng, dtype, most, k), normal(rng, dtype, 4 * lanes + 1, k)
        alone = np.empty((most, len(b)), dtype)
        for i in range(most):
            for j in range(len(b)):
                COMPILED["matmul_nt"](a[i : i + 1], b[j : j + 1], alone[i : i + 1, j : j + 1])
        np.testing.assert_allclose(alone, a @ b.T, atol=k * np.finfo(dtype).eps * 4)
        for m in range(1, most + 1):
            for n in (1, 3, 4, 7, 8, 9, len(b)):
                room = np.full(m * n + 2 * lanes, 3, dtype)
                COMPILED["matmul_nt"](a[:m], b[:n], room[lanes:-lanes].reshape(m, n))
                assert room[lanes:-lanes].tobytes() == alone[:m, :n].tobytes(), (m, n, k)
                assert (room[[*range(lanes), *range(-lanes, 0)]] == 3).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("m", "n"), [(1, 65), (5, 107), (3, 513)])
def test_an_update_of_one_term_has_the_bits_of_one_with_a_term_of_zeros(m, n, dtype):
    rng = np.random.default_rng(0)
    a, b, old = (rng.standard_normal(shape).astype(dtype) for shape in ((1, m), (1, n), (m, n)))
    a[0, 0], old[0, :3] = 0, -0.0
    alone, padded = old.copy(), old.copy()
    COMPILED["matmul_tn_add"](a, b, -0.1, alone)
    COMPILED["matmul_tn_add"](np.vstack([a, 0 * a]), np.vstack([b, 0 * b]), -0.1, padded)
    assert alone.tobytes() == padded.tobytes()


@pytest.mark.parametrize("name", ["matmul_nn", "matmul_tn_add"])
def test_operands_of_two_dtypes_do_not_compile(name):
    a, out = np.ones((2, 2)), np.ones((2, 2), np.float32)
    numbers = [0.5] if name == "matmul_tn_add" else []
    with pytest.raises(TypingError, match="an array of float64 in a product of float32"):
        COMPILED[name](a, out.copy(), *numbers, out)


OTHER_TILE = """
import sys
import numpy as np

sys.path.insert(0, {folder!r})
from tests.cases import BY_NAME, assert_agree, copied, shapes
from fastnn.kernels.gemm import loops
assert loops.NR_BYTES == {widths}[0] * loops.TILE.vector_bytes and loops.MR == {mr}
for name in ("matmul_nn", "matmul_tn", "matmul_nt", "matmul_tn_add", "dense_forward",
             "dense_backward"):
    case = BY_NAME[name]
    for number, shape in enumerate(shapes(case.dimensions)):
        made = case.make(np.random.default_rng(number), {dtype!r}, *shape)
        compiled, reference = copied(made), copied(made)
        case.compiled(*compiled.values())
        case.reference(*reference.values())
        assert_agree(case, shape, compiled["out"], reference["out"])
    print(name)
"""


@pytest.mark.long
@pytest.mark.parametrize(("widths", "mr", "dtype"), [((1,), 5, "float64"), ((3, 1), 6, "float32")])
def test_tiles_may_have_any_widths(widths, mr, dtype, tmp_path, monkeypatch):
    # Everything reads the table when it is imported, so the table is changed in a copy.
    shutil.copytree(ROOT / "fastnn", tmp_path / "fastnn", ignore=lambda *_: {"__pycache__"})
    with open(tmp_path / "fastnn" / "kernels" / "gemm" / "tiles.py", "a") as table:
        table.write(f"\nTILE = TILE._replace(widths={widths}, mr={mr})\n")
    monkeypatch.setenv("FASTNN_CACHE_DIR", str(tmp_path / "cache"))
    code = OTHER_TILE.format(widths=widths, mr=mr, dtype=dtype, folder=str(tmp_path))
    process = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=240
    )
    assert process.returncode == 0, process.stderr
    assert len(process.stdout.split()) == 6
