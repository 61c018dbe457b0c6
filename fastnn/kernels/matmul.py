"""Matrix products: ``a @ b``, ``a.T @ b``, ``a @ b.T``, the dense layer, and the transpose.

Each kernel describes its product, and one routine computes them all: see
:mod:`fastnn.kernels.gemm` for the loops, the block sizes and the micro-kernel.
"""

from fastnn.kernels.contract import kernel
from fastnn.kernels.gemm.bfloat16 import BFLOAT16
from fastnn.kernels.gemm.deep import DEEP, deep_product
from fastnn.kernels.gemm.dot import inner_products, suits_inner_products
from fastnn.kernels.gemm.loops import KC
from fastnn.kernels.gemm.structures import (
    GATED,
    LEAKY,
    NONE,
    NOWHERE,
    RELU,
    Dims,
    Epilogue,
    matrix,
    overwrite,
    transposed,
)
from fastnn.kernels.gemm.table import compile_gemm, gemm
from fastnn.kernels.gemm.transpose import write_transposed
from fastnn.kernels.jit import inlined


def prepare(*arguments):
    """Compile the product for a call of a kernel whose last argument is an array."""
    compile_gemm(arguments[-1].dtype.name)


def prepare_bfloat16(*_):
    """Compile the product for a call of a kernel that rounds its factors to bfloat16."""
    compile_gemm("bfloat16")


# What follows takes the operand of `gemm` first: a number of the arrays' dtype, or BFLOAT16.


@inlined
def _product(operand, dims, a, b, c, one):
    if dims.k > DEEP:
        deep_product(operand, dims, a, b, c, False, one)
    else:
        gemm(operand, dims, a, b, c, overwrite(one), 0)


@inlined
def _matmul_tn(operand, a, b, out):
    one = out.dtype.type(1)
    dims = Dims(a.shape[1], out.shape[1], a.shape[0])
    left = transposed(matrix(a, one))
    _product(operand, dims, left, matrix(b, one), matrix(out, one), one)


@inlined
def _matmul_tn_add(operand, a, b, scale, out):
    one, factor = out.dtype.type(1), out.dtype.type(scale)
    dims = Dims(a.shape[1], out.shape[1], a.shape[0])
    left = transposed(matrix(a, one))
    add = Epilogue(False, NOWHERE, NONE, one, NOWHERE, True, factor)
    if factor != 0 and dims.k <= KC:
        gemm(operand, dims, left, matrix(b, one), matrix(out, one), add, 0)
    elif factor != 0:
        deep_product(operand, dims, left, matrix(b, one), matrix(out, one), True, factor)


@inlined
def _dense_forward(operand, x, w, b, slope, prefetch_distance, out):
    one, slope = out.dtype.type(1), out.dtype.type(slope)
    activation = NONE if slope == 1 else RELU if slope == 0 else LEAKY
    bias = matrix(b, one)
    end = Epilogue(b.size > 0, bias, activation, slope, NOWHERE, False, one)
    dims = Dims(x.shape[0], out.shape[1], x.shape[1])
    left, right = matrix(x, one), matrix(w, one)
    gemm(operand, dims, left, right, matrix(out, one), end, prefetch_distance)


@inlined
def _dense_backward(operand, dz, w, x, slope, out):
    one, slope = out.dtype.type(1), out.dtype.type(slope)
    activation = NONE if slope == 1 else GATED
    end = Epilogue(False, NOWHERE, activation, slope, matrix(x, one), False, one)
    dims = Dims(dz.shape[0], out.shape[1], dz.shape[1])
    right = transposed(matrix(w, one))
    gemm(operand, dims, matrix(dz, one), right, matrix(out, one), end, 0)


@kernel("mk kn mn!", strided=True, prepare=prepare)
def matmul_nn(a, b, out):
    """Write ``out = a @ b``.

    Parameters
    ----------
    a : array, (m, k)
    b : array, (k, n)
    out : array, (m, n)
        float32 or float64 like `a` and `b`; its rows are contiguous.

    Notes
    -----
    Each element is summed in the order of k with fused multiply-adds, however the matrices are cut
    into tiles, so the rows of a product do not depend on how many are computed together.  The sums
    of every 4,096 terms are added in float64.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import kernels
    >>> a, b = np.ones((2, 3)), np.arange(6.0).reshape(3, 2)
    >>> out = np.empty((2, 2))
    >>> kernels.matmul_nn(a, b, out)
    >>> out
    array([[6., 9.],
           [6., 9.]])
    """
    one = out.dtype.type(1)
    dims = Dims(a.shape[0], out.shape[1], a.shape[1])
    _product(one, dims, matrix(a, one), matrix(b, one), matrix(out, one), one)


@kernel("km kn mn!", strided=True, prepare=prepare)
def matmul_tn(a, b, out):
    """Write ``out = a.T @ b`` for `a` (k, m), `b` (k, n), `out` (m, n).

    This is the gradient of a dense layer's weights: inputs transposed times output gradients.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import kernels
    >>> out = np.empty((1, 1))
    >>> kernels.matmul_tn(np.array([[1.0], [2.0]]), np.array([[3.0], [4.0]]), out)
    >>> out
    array([[11.]])
    """
    _matmul_tn(out.dtype.type(1), a, b, out)


@kernel("mk nk mn!", strided=True, prepare=prepare)
def matmul_nt(a, b, out):
    """Write ``out = a @ b.T`` for `a` (m, k), `b` (n, k), `out` (m, n).

    Notes
    -----
    For up to 16 rows of `a`, unless k is small beside their number, the elements are inner
    products, whose terms are added in another order than those of more rows.
    ``matmul_nn(a, b.T, out)`` adds them in one order, whatever the number of rows.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import kernels
    >>> out = np.empty((1, 1))
    >>> kernels.matmul_nt(np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]]), out)
    >>> out
    array([[11.]])
    """
    one = out.dtype.type(1)
    dims = Dims(a.shape[0], out.shape[1], a.shape[1])
    left, right = matrix(a, one), transposed(matrix(b, one))
    if dims.k <= DEEP and suits_inner_products(dims, left, right, one):
        inner_products(one, dims, left, right, matrix(out, one))
    else:
        _product(one, dims, left, right, matrix(out, one), one)


@kernel("km kn - mn~", strided=True, prepare=prepare)
def matmul_tn_add(a, b, scale, out):
    """Add ``scale * (a.T @ b)`` to `out`: a gradient step that never stores the gradient.

    Each element of `out` is rounded once, however many terms its sum has.

    Parameters
    ----------
    a : array, (k, m)
    b : array, (k, n)
    scale : float
        Minus the learning rate, for plain gradient descent.
    out : array, (m, n)

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import kernels
    >>> weights = np.ones((1, 1))
    >>> kernels.matmul_tn_add(np.ones((2, 1)), np.ones((2, 1)), -0.5, weights)
    >>> weights
    array([[0.]])
    """
    _matmul_tn_add(out.dtype.type(1), a, b, scale, out)


@kernel("mk kn n? - #0 mn!", strided=True, prepare=prepare)
def dense_forward(x, w, b, slope, prefetch_distance, out):
    """Write ``out = f(x @ w + b)`` with ``f(t) = t if t > 0 else slope * t``.

    Slope 1 is the linear layer, 0 the ReLU layer, anything between a leaky ReLU.

    Parameters
    ----------
    x : array, (m, k)
    w : array, (k, n)
    b : array, (n,) or (0,)
        Empty: no bias.
    slope : float
    prefetch_distance : int
        Prefetch the m rows that start this many rows below the first of `x`, for the next call;
        0: none.  They need not exist: a prefetch changes nothing but the time.
    out : array, (m, n)

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import kernels
    >>> out = np.empty((1, 2))
    >>> kernels.dense_forward(np.ones((1, 1)), np.array([[2.0, -2.0]]), np.ones(2), 0.0, 0, out)
    >>> out
    array([[3., 0.]])
    """
    _dense_forward(out.dtype.type(1), x, w, b, slope, prefetch_distance, out)


@kernel("mk nk mn= - mn!", strided=True, prepare=prepare)
def dense_backward(dz, w, x, slope, out):
    """Write ``out = (dz @ w.T) * f'(x)`` with ``f'(x) = 1 if x > 0 else slope``.

    This is the gradient with respect to a layer's inputs `x`, taken back through the (leaky) ReLU
    that they came out of; with slope 1 through nothing.

    Parameters
    ----------
    dz : array, (m, n)
    w : array, (k, n)
    x : array, (m, k)
    slope : float
    out : array, (m, k)

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import kernels
    >>> dz, w, x = np.array([[3.0]]), np.array([[1.0], [2.0]]), np.array([[0.5, 0.0]])
    >>> out = np.empty((1, 2))
    >>> kernels.dense_backward(dz, w, x, 0.0, out)
    >>> out
    array([[3., 0.]])
    """
    _dense_backward(out.dtype.type(1), dz, w, x, slope, out)


# The same with factors rounded to bfloat16, for networks of dtype "mixed_bfloat16".


@kernel("km' kn' mn'!", strided=True, prepare=prepare_bfloat16)
def bfloat16_matmul_tn(a, b, out):
    """Write ``out = a.T @ b`` with `a` and `b` rounded to bfloat16, and sums in float32.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import kernels
    >>> a, out = np.array([[1 + 1 / 128, 1 + 1 / 512]], np.float32), np.empty((2, 1), np.float32)
    >>> kernels.bfloat16_matmul_tn(a, np.ones((1, 1), np.float32), out)
    >>> out
    array([[1.0078125],
           [1.       ]], dtype=float32)
    """
    _matmul_tn(BFLOAT16, a, b, out)


@kernel("km' kn' - mn'~", strided=True, prepare=prepare_bfloat16)
def bfloat16_matmul_tn_add(a, b, scale, out):
    """Add ``scale * (a.T @ b)`` to `out`, with `a` and `b` rounded: see :func:`matmul_tn_add`."""
    _matmul_tn_add(BFLOAT16, a, b, scale, out)


@kernel("mk' kn' n'? - #0 mn'!", strided=True, prepare=prepare_bfloat16)
def bfloat16_dense_forward(x, w, b, slope, prefetch_distance, out):
    """Write ``out = f(x @ w + b)`` with `x` and `w` rounded: see :func:`dense_forward`."""
    _dense_forward(BFLOAT16, x, w, b, slope, prefetch_distance, out)


@kernel("mk' nk' mn'= - mn'!", strided=True, prepare=prepare_bfloat16)
def bfloat16_dense_backward(dz, w, x, slope, out):
    """Write ``out = (dz @ w.T) * f'(x)`` with `dz` and `w` rounded: see :func:`dense_backward`."""
    _dense_backward(BFLOAT16, dz, w, x, slope, out)


@kernel("mn nm!")
def transpose(a, out):
    """Write ``out = a.T`` for contiguous `a` (m, n) and `out` (n, m), block by block in registers.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import kernels
    >>> out = np.empty((2, 1))
    >>> kernels.transpose(np.array([[1.0, 2.0]]), out)
    >>> out
    array([[1.],
           [2.]])
    """
    one = out.dtype.type(1)
    write_transposed(one, a.shape[0], a.shape[1], matrix(a, one), matrix(out, one))
