"""First-order optimizers, penalties and a bound in JAX, as fastnn defines them.

``update(rate, g, arrays, w, t)`` returns an optimizer's arrays and the parameter after update
t = 1, 2 ...
"""

import math

import jax.numpy as jnp

from bench.extras import EPSILON


def sgd(rate, g, arrays, w, t):
    return arrays, w - rate * g


def momentum(rate, g, arrays, w, t):
    v = 0.9 * arrays[0] + g
    return [v], w - rate * v


def nesterov(rate, g, arrays, w, t):
    v = 0.9 * arrays[0] + g
    return [v], w - rate * (g + 0.9 * v)


def adagrad(rate, g, arrays, w, t):
    total = arrays[0] + g**2
    return [total], w - rate * g / (jnp.sqrt(total) + EPSILON)


def adadelta(rate, g, arrays, w, t):
    square, change = arrays
    square = 0.95 * square + 0.05 * g**2
    d = jnp.sqrt(change + EPSILON) / jnp.sqrt(square + EPSILON) * g
    return [square, 0.95 * change + 0.05 * d**2], w - rate * d


def rmsprop(rate, g, arrays, w, t):
    square = 0.9 * arrays[0] + 0.1 * g**2
    return [square], w - rate * g / (jnp.sqrt(square) + EPSILON)


def _moments(g, m, v):
    return 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2


def _missing(beta, t):
    """Return 1 - beta**t, of which a power would lose most digits."""
    return -jnp.expm1(t * math.log(beta))


def adam(rate, g, arrays, w, t):
    m, v = _moments(g, *arrays)
    root = jnp.sqrt(v / _missing(0.999, t)) + EPSILON
    return [m, v], w - rate / _missing(0.9, t) * m / root


def adamw(rate, g, arrays, w, t):
    decay = 0.004 if w.ndim == 2 else 0.0
    return adam(rate, g, arrays, w - rate * decay * w, t)


def amsgrad(rate, g, arrays, w, t):
    m, v = _moments(g, *arrays[:2])
    largest = jnp.maximum(arrays[2], v)
    root = jnp.sqrt(largest / _missing(0.999, t)) + EPSILON
    return [m, v, largest], w - rate / _missing(0.9, t) * m / root


def _momentum(t):
    return 0.9 * (1 - 0.96 ** (0.004 * t) / 2)


def nadam(rate, g, arrays, w, t):
    m, v = _moments(g, *arrays[:2])
    now, after = _momentum(t), _momentum(t + 1)
    product = now * arrays[2]
    mean = (1 - now) / (1 - product) * g + after / (1 - product * after) * m
    root = jnp.sqrt(v / _missing(0.999, t)) + EPSILON
    return [m, v, product], w - rate * mean / root


UPDATES = {
    "sgd": (0, sgd),
    "momentum": (1, momentum),
    "nesterov": (1, nesterov),
    "adagrad": (1, adagrad),
    "adadelta": (2, adadelta),
    "rmsprop": (1, rmsprop),
    "adam": (2, adam),
    "adamw": (2, adamw),
    "amsgrad": (3, amsgrad),
    "nadam": (2, nadam),
}
"""How many arrays an optimizer keeps for each parameter, and its update."""
START = {"adagrad": 0.1}
"""What they start with, if not 0."""


def begin(name, w):
    """Return what an optimizer keeps for a parameter before its first update."""
    arrays = [jnp.full_like(w, START.get(name, 0.0)) for _ in range(UPDATES[name][0])]
    # NAdam's product of momenta is a number.
    return [*arrays, jnp.ones((), w.dtype)] if name == "nadam" else arrays


def penalty_gradient(name, strength, w):
    """Return the gradient of a penalty on weights; biases have none."""
    if w.ndim != 2 or not name:
        return 0.0
    return strength * (jnp.sign(w) if name == "l1" else w)


def bounded(most, w):
    """Return weights whose columns have at most this norm."""
    if w.ndim != 2 or not most:
        return w
    norm = jnp.sqrt((w**2).sum(axis=0))
    return w * jnp.where(norm > most, most / jnp.where(norm > 0, norm, 1), 1)
