"""Initializers: moments, bounds, structure, seeds and names."""

import math
import re

import numpy as np
import pytest

from fastnn.initializers import (
    INITIALIZERS,
    Constant,
    GlorotUniform,
    Initializer,
    LecunNormal,
    Normal,
    Orthogonal,
    Sparse,
    Uniform,
    VarianceScaling,
    Zeros,
    default_for,
    fans,
    get,
)

SHAPE = (300, 200)
STDDEV = {
    "normal": 0.05,
    "uniform": 0.05 / math.sqrt(3),
    "lecun_normal": 1 / math.sqrt(300),
    "lecun_uniform": 1 / math.sqrt(300),
    "glorot_normal": math.sqrt(2 / 500),
    "glorot_uniform": math.sqrt(2 / 500),
    "he_normal": math.sqrt(2 / 300),
    "he_uniform": math.sqrt(2 / 300),
}
LIMIT = {
    "uniform": 0.05,
    "lecun_uniform": math.sqrt(3 / 300),
    "glorot_uniform": math.sqrt(6) / math.sqrt(500),
    "he_uniform": math.sqrt(6 / 300),
}


def draw(initializer, shape=SHAPE, seed=0, dtype="f8"):
    return get(initializer)(shape, np.random.default_rng(seed), dtype)


@pytest.mark.parametrize("name", STDDEV)
def test_moments(name):
    weights = draw(name)
    n = weights.size
    assert abs(weights.mean()) < 5 * STDDEV[name] / math.sqrt(n)
    assert weights.std() == pytest.approx(STDDEV[name], rel=5 / math.sqrt(2 * n))
    kurtosis = np.mean(weights**4) / np.mean(weights**2) ** 2
    assert kurtosis == pytest.approx(1.8 if name in LIMIT else 3.0, rel=0.05)


@pytest.mark.parametrize("name", LIMIT)
def test_bounds(name):
    for dtype in ("f4", "f8"):
        largest = abs(draw(name, dtype=dtype)).max()
        assert 0.99 * LIMIT[name] < largest <= LIMIT[name] * (1 + 1e-7)


@pytest.mark.parametrize("distribution", ["truncated_normal", "untruncated_normal", "uniform"])
@pytest.mark.parametrize(("mode", "n"), [("fan_in", 300), ("fan_out", 200), ("fan_avg", 250)])
def test_variance_scaling(mode, n, distribution):
    weights = draw(VarianceScaling(0.6, mode, distribution)) * math.sqrt(n / 0.6)
    assert weights.std() == pytest.approx(1, rel=5 / math.sqrt(2 * weights.size))
    largest = {"truncated_normal": 2 / 0.87962566, "uniform": math.sqrt(3)}
    if distribution in largest:
        assert 0.99 * largest[distribution] < abs(weights).max() <= largest[distribution]
    else:
        assert abs(weights).max() > 3.5


@pytest.mark.parametrize("name", ["lecun", "glorot", "he"])
def test_named_initializers_are_variance_scaling(name):
    scale, mode = {"lecun": (1, "fan_in"), "glorot": (1, "fan_avg"), "he": (2, "fan_in")}[name]
    for end, distribution in (("normal", "untruncated_normal"), ("uniform", "uniform")):
        general = draw(VarianceScaling(scale, mode, distribution))
        np.testing.assert_allclose(draw(f"{name}_{end}"), general, rtol=1e-15)


def test_constants():
    assert not draw("zeros").any()
    assert (draw(Constant(0.25)) == 0.25).all()
    assert (draw("constant", (3,)) == 0.01).all()
    assert not draw(Normal(0)).any() and not draw(Uniform(0)).any()


@pytest.mark.parametrize("shape", [(300, 200), (200, 300), (5, 5), (1, 4), (4, 1), (1, 1)])
def test_orthogonal(shape):
    weights = draw(Orthogonal(gain=2.0), shape)
    assert weights.shape == shape and weights.flags.c_contiguous
    n_in, n_out = shape
    gram = weights.T @ weights if n_in >= n_out else weights @ weights.T
    np.testing.assert_allclose(gram, 4 * np.eye(min(shape)), atol=1e-12)


def test_orthogonal_signs_are_even():
    """Without the signs of R's diagonal, LAPACK's Q of a column would always point one way."""
    signs = [np.sign(draw("orthogonal", (1, 1), seed)[0, 0]) for seed in range(200)]
    assert abs(sum(signs)) < 60


@pytest.mark.parametrize(("n_in", "k"), [(300, 10), (300, 1), (4, 10), (10, 10)])
def test_sparse(n_in, k):
    weights = draw(Sparse(k), (n_in, 500))
    assert ((weights != 0).sum(axis=0) == min(k, n_in)).all()
    assert (weights**2).sum(axis=0).mean() == pytest.approx(1.0, rel=0.35)
    if k < n_in:
        fed = (weights != 0).sum(axis=1)
        expected = 500 * k / n_in
        assert abs(fed - expected).max() < 6 * math.sqrt(expected) + 1
    chosen = draw(Sparse(k, stddev=3.0), (n_in, 500))
    assert chosen[chosen != 0].std() == pytest.approx(3.0, rel=0.15)


@pytest.mark.parametrize("name", INITIALIZERS)
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_arrays_are_new_contiguous_and_of_the_asked_type(name, dtype):
    for shape in [(7, 3), (3, 7), (1, 1)]:
        weights = draw(name, shape, dtype=dtype)
        assert weights.shape == shape and weights.dtype == np.dtype(dtype)
        assert weights.flags.c_contiguous and weights.flags.writeable and weights.flags.owndata
        assert np.isfinite(weights).all()


@pytest.mark.parametrize("name", INITIALIZERS)
def test_seeds(name):
    np.testing.assert_array_equal(draw(name, seed=1), draw(name, seed=1))
    np.testing.assert_array_equal(draw(name, dtype="f4"), draw(name).astype("f4"))
    if name not in ("zeros", "constant"):
        assert (draw(name, seed=1) != draw(name, seed=2)).any()


@pytest.mark.parametrize("name", INITIALIZERS)
def test_names_configurations_and_equality(name):
    initializer = get(name)
    assert initializer.name == name
    config = initializer.to_config()
    assert config["name"] == name
    assert get(config) == initializer and get(config) is not initializer
    assert get(initializer) is initializer
    others = [other for other in map(get, INITIALIZERS) if other == initializer]
    assert len(others) == 1
    if len(config) == 1:
        assert repr(initializer) == f"{type(initializer).__name__}()"


def test_parameters_are_part_of_the_configuration():
    assert get({"name": "sparse", "k": 3, "stddev": 0.5}) == Sparse(3, 0.5)
    assert Normal(0.1) != Normal(0.2)
    assert repr(Sparse(3)) == "Sparse(k=3, stddev=None)"


def test_a_users_own():
    class Ramp(Initializer):
        name = "ramp"

        def draw(self, shape, rng):
            return np.arange(math.prod(shape)).reshape(shape)

    np.testing.assert_array_equal(draw(Ramp(), (2, 2), dtype="f4"), [[0, 1], [2, 3]])


@pytest.mark.parametrize("activation", [None, "relu", "gelu", "tanh", "softmax"])
def test_the_default(activation):
    assert default_for(activation) == VarianceScaling(0.6, "fan_in", "uniform")
    assert default_for(activation) is not default_for(activation)  # its settings can change


def test_activations_with_a_default_of_their_own():
    assert default_for("selu") == LecunNormal()
    assert default_for("sigmoid") == GlorotUniform()


def test_fans():
    assert fans((3, 5)) == (3, 5)
    assert fans((4,)) == (4, 4)
    for shape in [(), (2, 3, 4), (0, 3), (3, 0)]:
        with pytest.raises(ValueError, match=re.escape(f"shape is {shape}, wanted (n_in, n_out)")):
            fans(shape)


@pytest.mark.parametrize(
    ("kind", "given", "message"),
    [
        (ValueError, "he_norm", "kernel_initializer is 'he_norm', wanted one of 'zeros', "),
        (ValueError, "glorot", "kernel_initializer is 'glorot', wanted one of "),
        (ValueError, {"name": "mine"}, "kernel_initializer is 'mine', wanted one of "),
        (TypeError, {"k": 3}, "kernel_initializer is None (NoneType), wanted one of "),
        (TypeError, None, "kernel_initializer is None (NoneType), wanted one of "),
        (TypeError, 3, "kernel_initializer is 3 (int), wanted one of "),
        (TypeError, Zeros, "kernel_initializer is the class Zeros, wanted an object: Zeros()"),
    ],
)
def test_bad_names(kind, given, message):
    with pytest.raises(kind, match="^" + re.escape(message)):
        get(given, "kernel_initializer")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Normal(-1), "stddev is -1, wanted a finite number of at least 0"),
        (lambda: Uniform(math.nan), "limit is nan, wanted a finite number of at least 0"),
        (lambda: Constant(math.inf), "value is inf, wanted a finite number"),
        (lambda: VarianceScaling(0), "scale is 0, wanted a finite number above 0"),
        (lambda: VarianceScaling(1, "in"), "mode is 'in', wanted one of 'fan_in', 'fan_out', "),
        (lambda: VarianceScaling(distribution="normal"), "distribution is 'normal', wanted one of"),
        (lambda: Orthogonal(0), "gain is 0, wanted a finite number above 0"),
        (lambda: Sparse(0), "k is 0, wanted a whole number of at least 1"),
        (lambda: Sparse(stddev=0), "stddev is 0, wanted a finite number above 0"),
        (lambda: draw("orthogonal", (3,)), "shape is (3,), wanted (n_in, n_out) for the init"),
        (lambda: draw("sparse", (3,)), "shape is (3,), wanted (n_in, n_out) for the init"),
    ],
)
def test_bad_parameters(make, message):
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        make()
