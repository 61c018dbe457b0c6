"""Initializers: the starting values of weights.

Call an initializer as ``initializer(shape, rng, dtype)``, with a NumPy ``Generator``.  It returns a
new array.  Numbers are drawn in float64 and then rounded, so float32 and float64 networks with the
same seed start from the same weights, up to rounding.

For a kernel of shape (n_in, n_out), `n_in` is the number of inputs of a unit (the fan-in) and
`n_out` the number of units (the fan-out).  For a bias of shape (n,), both are n.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from fastnn import activations
from fastnn.inputs.checks import (
    finite_float,
    non_negative_float,
    one_of,
    positive_float,
    positive_int,
)
from fastnn.inputs.settings import Configured, among, optional, setting, table

_TRUNCATED = 0.87962566103423978
"""The deviation of a standard normal number within -2 and 2."""


class Initializer(Configured):
    """Base of initializers: override :meth:`draw`."""

    name = ""

    @np.errstate(all="ignore")
    def __call__(
        self, shape: tuple[int, ...], rng: np.random.Generator, dtype: DTypeLike = np.float32
    ) -> np.ndarray:
        """Return a new array of `shape` and `dtype`."""
        return np.ascontiguousarray(self.draw(tuple(shape), rng), dtype=dtype)

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        """Return a float64 array of `shape`."""
        raise NotImplementedError

    def to_config(self) -> dict[str, Any]:
        """Return the name and the parameters; :func:`get` makes an equal object from them."""
        return super().to_config() | {"name": self.name}


class Zeros(Initializer):
    """All zeros.  Use it for biases: in a constant kernel, units never become different."""

    name = "zeros"

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        return np.zeros(shape)


class Constant(Initializer):
    """All `value`.  With a small positive bias, such as 0.01, more ReLU units start active."""

    name = "constant"

    value: float = setting(default=0.01, check=finite_float)

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        return np.full(shape, self.value)


class Normal(Initializer):
    """Gaussian with mean 0 and standard deviation `stddev`, whatever the shape."""

    name = "normal"

    stddev: float = setting(default=0.05, check=non_negative_float)

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        return rng.normal(0.0, self.stddev, shape)


class Uniform(Initializer):
    """Uniform on [-limit, limit], whatever the shape."""

    name = "uniform"

    limit: float = setting(default=0.05, check=non_negative_float)

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        return rng.uniform(-self.limit, self.limit, shape)


class _Scaled(Initializer):
    """A distribution whose variance depends on the shape."""

    def variance(self, n_in: int, n_out: int) -> float:
        raise NotImplementedError

    def normal(self, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        return rng.normal(0.0, math.sqrt(self.variance(*fans(shape))), shape)

    def uniform(self, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        limit = math.sqrt(3.0 * self.variance(*fans(shape)))  # uniform: variance is limit^2 / 3
        return rng.uniform(-limit, limit, shape)


class _ScaledNormal(_Scaled):
    draw = _Scaled.normal


class _ScaledUniform(_Scaled):
    draw = _Scaled.uniform


class VarianceScaling(_Scaled):
    """Weights of variance ``scale / n``, with the settings and the meaning of Keras.

    The other scaled initializers are this one with numbers of their own: He's is
    ``VarianceScaling(2)``, Glorot's has "fan_avg".

    Parameters
    ----------
    scale : float
        Above 0.
    mode : {"fan_in", "fan_out", "fan_avg"}
        Whether n is n_in, n_out or their mean.
    distribution : {"truncated_normal", "untruncated_normal", "uniform"}
        Gaussian, drawn again beyond two standard deviations (the variance is that of what
        remains), or just Gaussian, or uniform on [-b, b], ``b = sqrt(3 * scale / n)``.

    Examples
    --------
    >>> VarianceScaling(2, distribution="uniform")
    VarianceScaling(scale=2.0, mode='fan_in', distribution='uniform')
    >>> kernel = VarianceScaling(0.5, "fan_out")((20, 50), np.random.default_rng(0), np.float64)
    >>> bool(abs(kernel).max() < 2 * np.sqrt(0.5 / 50) / 0.8796)
    True
    """

    name = "variance_scaling"

    scale: float = setting(default=1.0, check=positive_float)
    mode: str = setting(default="fan_in", check=among("fan_in", "fan_out", "fan_avg"))
    distribution: str = setting(
        default="truncated_normal",
        check=among("truncated_normal", "untruncated_normal", "uniform"),
    )

    def variance(self, n_in: int, n_out: int) -> float:
        fan = {"fan_in": n_in, "fan_out": n_out, "fan_avg": (n_in + n_out) / 2}[self.mode]
        return self.scale / fan

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        if self.distribution == "uniform":
            return self.uniform(shape, rng)
        if self.distribution == "untruncated_normal":
            return self.normal(shape, rng)
        drawn = rng.standard_normal(shape)
        while (beyond := abs(drawn) > 2).any():
            drawn[beyond] = rng.standard_normal(np.count_nonzero(beyond))
        return drawn * (math.sqrt(self.variance(*fans(shape))) / _TRUNCATED)


class LecunNormal(_ScaledNormal):
    """Gaussian with standard deviation 1 / sqrt(n_in).

    Keeps the variance of a linear unit's output equal to that of its inputs.
    Source: LeCun, Bottou, Orr and Müller, "Efficient BackProp", 1998, section 4.6.
    """

    name = "lecun_normal"

    def variance(self, n_in: int, n_out: int) -> float:
        return 1.0 / n_in


class LecunUniform(_ScaledUniform):
    """Uniform on [-b, b], b = sqrt(3 / n_in): the same variance as :class:`LecunNormal`."""

    name = "lecun_uniform"
    variance = LecunNormal.variance


class GlorotNormal(_ScaledNormal):
    """Gaussian with standard deviation sqrt(2 / (n_in + n_out)).

    A compromise between preserving the variance of activations going forward and of gradients
    going backward.  Keras truncates its normal distributions at two standard deviations.
    Source: Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural
    networks", AISTATS 2010.
    """

    name = "glorot_normal"

    def variance(self, n_in: int, n_out: int) -> float:
        return 2.0 / (n_in + n_out)


class GlorotUniform(_ScaledUniform):
    """Uniform on [-b, b], b = sqrt(6) / sqrt(n_in + n_out); see :class:`GlorotNormal`.

    Examples
    --------
    >>> kernel = GlorotUniform()((200, 100), np.random.default_rng(0), np.float64)
    >>> kernel.shape, bool(abs(kernel).max() <= np.sqrt(6 / 300))
    ((200, 100), True)
    """

    name = "glorot_uniform"
    variance = GlorotNormal.variance


class HeNormal(_ScaledNormal):
    """Gaussian with standard deviation sqrt(2 / n_in).

    For very deep ReLU networks: the 2 makes up for the half of the inputs that a ReLU sets to zero,
    so signals keep their size.  With up to 20 layers smaller weights do no worse; see
    :func:`default_for`.
    Source: He, Zhang, Ren and Sun, "Delving deep into rectifiers", ICCV 2015.
    """

    name = "he_normal"

    def variance(self, n_in: int, n_out: int) -> float:
        return 2.0 / n_in


class HeUniform(_ScaledUniform):
    """Uniform on [-b, b], b = sqrt(6 / n_in): the same variance as :class:`HeNormal`."""

    name = "he_uniform"
    variance = HeNormal.variance


class Orthogonal(Initializer):
    """`gain` times a random matrix with orthonormal columns, or rows if n_in < n_out.

    This is Q from the QR decomposition of a Gaussian matrix, with signs chosen by the diagonal of R
    so that every orthogonal matrix is equally likely.
    Source: Saxe, McClelland and Ganguli, "Exact solutions to the nonlinear dynamics of learning
    in deep linear neural networks", 2014.
    """

    name = "orthogonal"

    gain: float = setting(default=1.0, check=positive_float)

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        n_in, n_out = _matrix(shape, self.name)
        q, r = np.linalg.qr(rng.standard_normal((max(n_in, n_out), min(n_in, n_out))))
        q *= np.where(np.diagonal(r) < 0, -self.gain, self.gain)
        return q if n_in >= n_out else q.T


class Sparse(Initializer):
    """Give every unit `k` random inputs with Gaussian weights; all other weights are zero.

    Parameters
    ----------
    k : int
        Inputs per unit; all of them if the layer has fewer.
    stddev : float, optional
        Standard deviation of the nonzero weights.  The default, 1 / sqrt(k), preserves the
        variance.

    Notes
    -----
    Source: Martens, "Deep learning via Hessian-free optimization", ICML 2010, with 15 inputs and
    standard deviation 1.
    """

    name = "sparse"

    k: int = setting(default=10, check=positive_int)
    stddev: float | None = setting(default=None, check=optional(positive_float))

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        n_in, n_out = _matrix(shape, self.name)
        k = min(self.k, n_in)
        stddev = 1.0 / math.sqrt(k) if self.stddev is None else self.stddev
        chosen = np.argpartition(rng.random(shape), k - 1, axis=0)[:k]
        weights = np.zeros(shape)
        np.put_along_axis(weights, chosen, rng.normal(0.0, stddev, (k, n_out)), axis=0)
        return weights


INITIALIZERS = table(Initializer)
"""Initializers by name."""


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return (n_in, n_out) for the shape of a kernel or a bias."""
    if len(shape) not in (1, 2) or min(shape) < 1:
        raise ValueError(f"shape is {shape}, wanted (n_in, n_out) or (n,), none of them zero")
    return shape[0], shape[-1]


def get(initializer: Any, name: str = "initializer") -> Initializer:
    """Return an initializer given as a name, an object or a configuration from ``to_config``.

    Examples
    --------
    >>> get("he_normal"), get(Normal(0.01)), get({"name": "constant", "value": 0.5})
    (HeNormal(), Normal(stddev=0.01), Constant(value=0.5))
    >>> get("he")
    Traceback (most recent call last):
    ValueError: initializer is 'he', wanted one of 'zeros', 'constant', 'normal', 'uniform', \
'lecun_normal', 'glorot_normal', 'he_normal', 'lecun_uniform', 'glorot_uniform', 'he_uniform', \
'variance_scaling', 'orthogonal' ... (13 names)
    """
    if isinstance(initializer, Initializer):
        return initializer
    if isinstance(initializer, type) and issubclass(initializer, Initializer):
        kind = initializer.__name__
        raise TypeError(f"{name} is the class {kind}, wanted an object: {kind}()")
    if isinstance(initializer, Mapping):
        parameters = dict(initializer)
        known = one_of(parameters.pop("name", None), name, INITIALIZERS)
        return INITIALIZERS[known](**parameters)
    return INITIALIZERS[one_of(initializer, name, INITIALIZERS)]()


def default_for(activation: Any) -> Initializer:
    """Return the default kernel initializer: uniform with variance 0.6 / n_in for most activations.

    Of nine starts this one had the least error on real tables: docs/defaults.md.  Sigmoid has
    Glorot's, with which it does better, and SELU LeCun's, for which its constants were chosen.

    Examples
    --------
    >>> default_for("relu"), default_for("selu")
    (VarianceScaling(scale=0.6, mode='fan_in', distribution='uniform'), LecunNormal())
    """
    own = activations.get(activation).kernel_initializer
    return get(own) if own else VarianceScaling(0.6, "fan_in", "uniform")


def _matrix(shape, name):
    if len(shape) != 2:
        raise ValueError(f"shape is {shape}, wanted (n_in, n_out) for the initializer {name!r}")
    return shape
