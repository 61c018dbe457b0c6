"""Elementary functions of a number, and sums over a row, written so that loops vectorize.

Numba's ``math.exp`` calls a function for every element.  These functions are a dozen additions and
multiplications without branches, for float32 and float64, and return the type of their argument.
They give the same bits in a loop's vector body as in its last few elements, so it does not matter
where a chunk of work begins.
"""

import math

from numba import types
from numba.extending import intrinsic

from fastnn.kernels.jit import REASSOCIATE, njit
from fastnn.kernels.numba_internals import ir


def _constant_of(value, x):
    """Return `value`, or its entry for the type of `x`, as a constant of that type."""
    kind = ir.FloatType() if x == types.float32 else ir.DoubleType()
    return ir.Constant(kind, value[x] if isinstance(value, dict) else value)


def _constant(value):
    """Return an intrinsic f(x) that returns `value` in the type of `x`."""

    @intrinsic
    def constant(_, x):
        return x(x), lambda context, builder, signature, args: _constant_of(value, x)

    return constant


def _instruction(name, count):
    """Return an intrinsic for LLVM's function `name` with `count` arguments of the same type."""

    def call(builder, *args):
        function = builder.module.declare_intrinsic(
            name, [args[0].type], ir.FunctionType(args[0].type, [args[0].type] * count)
        )
        return builder.call(function, args)

    return call


_multiply_add = _instruction("llvm.fmuladd", 3)
_maximum = _instruction("llvm.maximum", 2)
_copysign = _instruction("llvm.copysign", 2)
_rint = _instruction("llvm.rint", 1)


@intrinsic
def fma(_, a, b, c):
    """Return a * b + c, rounded once if the processor can, and the same way in every element."""
    return a(a, a, a), lambda context, builder, signature, args: _multiply_add(builder, *args)


@intrinsic
def maximum(_, a, b):
    """Return the larger of two numbers, NaN if either is NaN."""
    return a(a, a), lambda context, builder, signature, args: _maximum(builder, *args)


@intrinsic
def copysign(_, a, b):
    """Return the magnitude of `a` with the sign of `b`."""
    return a(a, a), lambda context, builder, signature, args: _copysign(builder, *args)


@intrinsic
def rint(_, a):
    """Return the nearest whole number, the even one of two."""
    return a(a), lambda context, builder, signature, args: _rint(builder, *args)


@intrinsic
def select(_, condition, a, b):
    """Return `a` if the condition holds, else `b`, without the branch of an `if`.

    LLVM turns most `if`s into selects too, but not two that depend on the same condition.
    """
    return a(types.boolean, a, a), lambda context, builder, signature, args: builder.select(*args)


def polynomial(coefficients):
    """Return an intrinsic f(x) for a polynomial, lowest power first, by Horner's rule."""

    @intrinsic
    def polynomial(_, x):
        def codegen(context, builder, signature, args):
            *lower, result = [_constant_of(c, x) for c in coefficients[x]]
            for coefficient in reversed(lower):
                result = _multiply_add(builder, result, args[0], coefficient)
            return result

        return x(x), codegen

    return polynomial


@intrinsic
def _from_low_bits(_, x):
    """Return a float with fraction 0 whose sign and exponent are the lowest bits of `x`."""
    bits, fraction = (32, 23) if x == types.float32 else (64, 52)

    def codegen(context, builder, signature, args):
        integer = ir.IntType(bits)
        low = builder.bitcast(args[0], integer)
        return builder.bitcast(builder.shl(low, ir.Constant(integer, fraction)), args[0].type)

    return x(x), codegen


@intrinsic
def _exponent(_, x):
    """Return e as a float, where ``x = 2**e * m`` and m is from sqrt(1/2) to sqrt(2), for x > 0."""

    def codegen(context, builder, signature, args):
        integer, fraction, bias = _layout(x)
        shifted = builder.lshr(_from_root(builder, x, args[0]), ir.Constant(integer, fraction))
        # Placing an integer behind the leading bits of 2**fraction makes it a float without a
        # conversion instruction, which AVX2 lacks for vectors of float64.
        large = ir.Constant(integer, (bias + fraction) << fraction)
        number = builder.bitcast(builder.or_(shifted, large), args[0].type)
        return builder.fsub(number, ir.Constant(args[0].type, 2.0**fraction + bias))

    return x(x), codegen


@intrinsic
def _fraction(_, x):
    """Return m as defined in :func:`_exponent`."""

    def codegen(context, builder, signature, args):
        integer, fraction, _ = _layout(x)
        low = builder.and_(
            _from_root(builder, x, args[0]), ir.Constant(integer, (1 << fraction) - 1)
        )
        return builder.bitcast(builder.add(low, ir.Constant(integer, _root(x))), args[0].type)

    return x(x), codegen


def _layout(x):
    """Return the integer type as wide as the float type `x`, its fraction bits and its bias."""
    return (ir.IntType(32), 23, 127) if x == types.float32 else (ir.IntType(64), 52, 1023)


def _root(x):
    """Return the bits of sqrt(1/2)."""
    return 0x3F3504F3 if x == types.float32 else 0x3FE6A09E667F3BCD


def _from_root(builder, x, value):
    """Return the bits of `value`, shifted so that the exponent changes at sqrt(1/2)."""
    integer, fraction, bias = _layout(x)
    offset = ir.Constant(integer, (bias << fraction) - _root(x))
    return builder.add(builder.bitcast(value, integer), offset)


_f32, _f64 = types.float32, types.float64
_zero = _constant(0.0)
_one = _constant(1.0)
_two = _constant(2.0)
_half = _constant(0.5)
_infinity = _constant(math.inf)
_four = _constant(4.0)
_eight = _constant(8.0)
_ln2 = _constant(0.6931471805599453)
_inverse_root_2pi = _constant(0.3989422804014327)
_log2_e = _constant(1.4426950408889634)
# ln 2 in two parts, the first with trailing zero bits, so n times it is exact for every n used.
_ln2_high = _constant({_f32: 0.693359375, _f64: 0.6931471803691238})
_ln2_low = _constant({_f32: -2.12194440e-4, _f64: 1.9082149292705877e-10})
# Adding this to a small number rounds it to a whole number n and leaves n + bias, the exponent bits
# of 2**n, in the lowest bits of the sum.  That avoids a conversion to integers, which AVX2 lacks
# for vectors of float64.
_rounder = _constant({_f32: 1.5 * 2.0**23 + 127, _f64: 1.5 * 2.0**52 + 1023})
# Below this x, n is so small that those bits, and 2**n, are 0.
_least = _constant({_f32: -88.03, _f64: -709.09})
# The same for 2**(n - 1), and an x whose exponential is beyond the largest number.
_least_halved = _constant({_f32: -87.3, _f64: -708.3})
_most = _constant({_f32: 89.0, _f64: 710.0})

# Minimax fits (Remez exchange in 60 digits).  (e**r - 1 - r) / r**2 for |r| <= ln(2) / 2; relative
# error of r + r**2 * fit 1.4e-8 and 1.9e-17.
_exp_tail = polynomial(
    {
        _f32: (0.5, 0.16666543, 0.041666284, 0.008366489, 0.0013946266),
        _f64: (
            0.5000000000000006, 0.16666666666666685, 0.04166666666657785, 0.008333333333315074,
            0.001388888893130675, 0.00019841269902108846, 2.480150550391817e-05,
            2.7557228683273415e-06, 2.7625969082474523e-07, 2.5114267551114385e-08,
        ),
    }
)  # fmt: skip
# e**(a**2 / 2) times the probability that a standard normal number exceeds a >= 0, as a
# polynomial in t = 1 - 8 / (a + 4), from -1 to 1 (Chebyshev); errors 3e-9 and 3e-17.
_scaled_normal_tail = polynomial(
    {
        _f32: (
            0.09441064, -0.17039768, 0.12437916, -0.07170806, 0.030865937, -0.00848835,
            0.00050258654, 0.0006298726, -0.00017711177, -3.5776684e-05, 1.8786717e-05,
        ),
        _f64: (
            0.09441064130196891, -0.1703977215484544, 0.12437925533927088, -0.07170740733782753,
            0.030864804106005075, -0.008492095479758216, 0.0005075620802331377,
            0.0006388138234854208, -0.00018718431416416494, -4.555470650032797e-05,
            2.8648570969502168e-05, 4.630796917724566e-06, -4.304277207356846e-06,
            -8.274302256520367e-07, 6.629936620189049e-07, 2.026236560690965e-07,
            -9.618288669802502e-08, -4.904678284724266e-08, 1.110277947024806e-08,
            9.259844747144312e-09, -7.206307532813257e-10, -9.543550430903501e-10,
        ),
    }
)  # fmt: skip
# (2 atanh(s) - 2 s) / s**3 as a polynomial in s**2 <= 1/9; errors 5.0e-9 and 5.9e-17.
_atanh_tail = polynomial(
    {
        _f32: (0.66666436, 0.40020558, 0.28014967, 0.2795618),
        _f64: (
            0.6666666666667257, 0.3999999999725518, 0.28571428954710304, 0.22222197343104294,
            0.18182706051588676, 0.1536585253230339, 0.13573142174326536, 0.0996326336556657,
            0.17623641924694458,
        ),
    }
)  # fmt: skip


@njit
def _reduced(x):
    """Return the bits of 2**n as a float, and e**r - 1, where x = n * ln(2) + r with small r."""
    shifted = fma(x, _log2_e(x), _rounder(x))
    n = shifted - _rounder(x)
    r = fma(n, -_ln2_low(x), fma(n, -_ln2_high(x), x))
    return shifted, fma(r * r, _exp_tail(r), r)


@njit
def _power_and_expm1(x):
    """Return 2**n and e**r - 1, as defined in :func:`_reduced`, for x <= 0."""
    shifted, rest = _reduced(_least(x) if x < _least(x) else x)
    return _from_low_bits(shifted), rest


@njit
def exp_nonpositive(x):
    """Return e**x for x <= 0: 0 at -inf, NaN at NaN, about 0 below the smallest normal number.

    Most activations and losses need no positive `x`, and without it the scaling takes a single
    instruction.

    It reduces the range to ``e**x = 2**n * e**r`` after W. J. Cody and W. Waite, "Software Manual
    for the Elementary Functions" (1980), then evaluates a polynomial.  The relative error is below
    1e-7 in float32 and 2e-16 in float64.
    """
    power, rest = _power_and_expm1(x)
    return fma(power, rest, power)


@njit
def exp(x):
    """Return e**x for any x: inf on overflow, and 0 below the smallest normal number.

    It scales by 2**(n - 1) and then by 2, since 2**n alone may overflow.  The relative error is
    that of :func:`exp_nonpositive`.
    """
    shifted, rest = _reduced(_least_halved(x) if x < _least_halved(x) else x)
    power = _from_low_bits(shifted - _one(x))
    return _infinity(x) if x > _most(x) else _two(x) * fma(power, rest, power)


@njit
def expm1_nonpositive(x):
    """Return e**x - 1 for x <= 0, accurate near 0 too, with the relative error of :func:`tanh`."""
    power, rest = _power_and_expm1(x)
    return fma(power, rest, power - _one(x))


@njit
def tanh(x):
    """Return the hyperbolic tangent of `x`, accurate near 0 too.

    With ``u = e**(-2 |x|) - 1``, computed without cancellation, its magnitude is ``-u / (2 + u)``.
    The relative error is below 2e-7 in float32 and 5e-16 in float64.
    """
    u = expm1_nonpositive(-_two(x) * abs(x))
    return copysign(u / (_two(x) + u), x)


@njit
def sigmoid(x):
    """Return 1 / (1 + e**-x), accurate at both ends: e**x if `x` is very negative."""
    e = exp_nonpositive(-abs(x))
    return (e if x < 0 else _one(x)) / (_one(x) + e)


@njit
def log1p_unit(z):
    """Return log(1 + z) for `z` from -1/3 to 1.

    It is 2 atanh(s) with ``s = z / (2 + z)``, which needs no reduction on this range.  The relative
    error is below 2e-7 in float32 and 5e-16 in float64.
    """
    s = z / (_two(z) + z)
    square = s * s
    return fma(square * s, _atanh_tail(square), _two(z) * s)


@njit
def positive_part(x):
    """Return max(x, 0), NaN at NaN."""
    return _zero(x) if x <= 0 else x


@njit
def softplus(x):
    """Return log(1 + e**x), without overflow for any x."""
    return positive_part(x) + log1p_unit(exp_nonpositive(-abs(x)))


@njit
def log_cosh(x):
    """Return log(cosh(x)), accurate near 0 too, where it is about x**2 / 2.

    While z <= 1, it is log(1 + z) with ``z = cosh(x) - 1 = u**2 / (2 (1 + u))`` and
    ``u = e**-|x| - 1``; beyond that, it is ``|x| - log(2) + log(1 + e**(-2 |x|))``.
    """
    magnitude = abs(x)
    u = expm1_nonpositive(-magnitude)
    power = _one(x) + u
    z = u * u / (_two(x) * power)
    near = z <= 1
    return log1p_unit(z if near else power * power) + (_zero(x) if near else magnitude - _ln2(x))


@njit
def normal(x):
    """Return the standard normal distribution function of `x` and its density there.

    ``erf(x) = 2 * normal(sqrt(2) * x)[0] - 1``.  The relative error of the first result is below
    1e-6 in float32 and 3e-15 in float64 if that result is above 1e-7: the far left tail does not
    suffer from cancellation.
    """
    power = exp_nonpositive(-_half(x) * x * x)
    magnitude = abs(x)
    tail = power * _scaled_normal_tail(_one(x) - _eight(x) / (magnitude + _four(x)))
    return (tail if x < 0 else _one(x) - tail), power * _inverse_root_2pi(x)


@njit
def clipped(x, bound):
    """Return `x` clipped to the interval from -bound to bound, NaN at NaN."""
    return bound if x > bound else (-bound if x < -bound else x)


@njit
def tail_bound(x):
    """Return a number b, in the type of `x`, for which e**-b is 0.

    Beyond it, functions made of exponentials have reached their limits.
    """
    return -_least(x)


@njit
def step(x):
    """Return 1 if x > 0, else 0, and NaN at NaN: the derivative of :func:`positive_part`."""
    return _one(x) if x > 0 else (_zero(x) if x <= 0 else x)


@njit
def log(x):
    """Return the natural logarithm of a normal number x > 0; inf at inf, NaN at NaN.

    It is ``e * ln(2) + log(m)`` where ``x = 2**e * m``.  Below the smallest normal number, at 0
    too, it returns about the logarithm of that number.  The relative error is that of
    :func:`log1p_unit`.
    """
    e = _exponent(x)
    rest = log1p_unit(_fraction(x) - _one(x))
    value = fma(e, _ln2_high(x), fma(e, _ln2_low(x), rest))
    return value if x - x == 0 else x


@njit
def power(x, p):
    """Return x**p for x > 0 and p != 0: at inf, inf, or 0 if p < 0; NaN at NaN.

    The relative error is below 3e-7 in float32 and 1e-15 in float64 if the result is between 1/e
    and e, and grows with the logarithm of the result.
    """
    y = p * log(x)
    shrunk = exp_nonpositive(-abs(y))
    return _one(x) / shrunk if y > 0 else shrunk


@njit
def sign(x):
    """Return the sign of `x`, 1, 0 or -1, and NaN at NaN."""
    return _one(x) if x > 0 else (-_one(x) if x < 0 else x)


@njit(fastmath=REASSOCIATE)
def row_maximum(x, i):
    """Return the largest element of row `i` of the matrix `x`, or NaN if the row has a NaN."""
    # LLVM vectorizes this reduction only as `maximum`; with a comparison it would need the flag
    # that rules out NaN.
    largest = x.dtype.type(-math.inf)
    for j in range(x.shape[1]):
        largest = maximum(largest, x[i, j])
    return largest


@njit(fastmath=REASSOCIATE)
def row_sum(x, i):
    """Return the sum of row `i` of the matrix `x`."""
    total = x.dtype.type(0)
    for j in range(x.shape[1]):
        total += x[i, j]
    return total


@njit(fastmath=REASSOCIATE)
def row_dot(a, b, i):
    """Return the sum of the products of row `i` of `a` with row `i` of `b`."""
    total = a.dtype.type(0)
    for j in range(a.shape[1]):
        total += a[i, j] * b[i, j]
    return total


@njit
def rows_exp(x, out):
    """Write ``exp(x[i, j] - max_k x[i, k])``: the numerators of softmax.

    The exponentials are computed in a separate pass over all elements instead of row by row.  With
    10 columns, too few to vectorize, that is twice as fast.
    """
    for i in range(x.shape[0]):
        largest = row_maximum(x, i)
        for j in range(x.shape[1]):
            out[i, j] = x[i, j] - largest
    for k in range(out.size):
        out.flat[k] = exp_nonpositive(out.flat[k])
