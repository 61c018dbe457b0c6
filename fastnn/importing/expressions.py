"""Expressions that several operators make of one number, and the activations that they are."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from fastnn import activations

Sum = dict[tuple[str, ...], float]
"""A sum of products: the factor of each product, which is named by its sorted parts."""
X: Sum = {("x",): 1.0}
_SELU = 1.0507009873554805, 1.6732632423543772


def number(value: float) -> Sum:
    return {(): float(value)} if value else {}


def add(one: Sum, two: Sum, times: float = 1.0) -> Sum:
    """Return ``one + times * two``."""
    found = dict(one)
    for parts, factor in two.items():
        found[parts] = found.get(parts, 0.0) + times * factor
    return {parts: factor for parts, factor in found.items() if factor}


def multiply(one: Sum, two: Sum) -> Sum:
    found: Sum = {}
    for a, first in one.items():
        for b, second in two.items():
            found = add(found, {tuple(sorted(a + b)): first * second})
    return found


def written(given: Sum) -> str:
    """Return a text that is the same for equal sums, up to six digits of their factors."""
    terms = sorted((parts, f"{factor:.6g}") for parts, factor in given.items())
    return " + ".join("*".join([factor, *parts]) for parts, factor in terms) or "0"


class Algebra:
    """Functions of sums, and vectors, each named by a text."""

    def __init__(self) -> None:
        self.arguments: dict[str, tuple[Sum, ...]] = {}
        self.vectors: dict[str, np.ndarray] = {}

    def apply(self, function: str, *arguments: Sum) -> Sum:
        """Return a function of sums; those that say the same become the same."""
        first = arguments[0]
        if function == "softplus":  # as formulas has it
            rest = self.apply("exp", multiply(number(-1), self.apply("abs", first)))
            return add(self.apply("relu", first), self.apply("log", add(number(1), rest)))
        if function == "tanh":
            twice = self.apply("sigmoid", multiply(number(2), first))
            return add(multiply(number(2), twice), number(-1))
        name = f"{function}({', '.join(written(each) for each in arguments)})"
        self.arguments[name] = arguments
        return {(name,): 1.0}

    def vector(self, values: np.ndarray) -> Sum:
        """Return a number for each column."""
        name = f"vector {len(self.vectors)}"
        self.vectors[name] = values
        return {(name,): 1.0}

    def minimum0(self, given: Sum) -> Sum:
        """Return ``min(given, 0)``."""
        opposite = multiply(number(-1), given)
        return multiply(number(-1), self.apply("relu", opposite))

    def where_positive(self, yes: Sum, no: Sum) -> Sum:
        return self.apply("where", self.apply("greater", X), yes, no)

    def activation(self, given: Sum) -> activations.Activation | None:
        """Return the activation that a sum is of x, or None."""
        sign = self.apply("sigmoid", X)
        half = multiply(number(0.5), X)
        error = self.apply("erf", multiply(number(0.5**0.5), X))
        cubic = add(X, multiply(number(0.044715), multiply(X, multiply(X, X))))
        curve = self.apply("sigmoid", multiply(number((8 / np.pi) ** 0.5), cubic))
        power = self.apply("exp", X)
        below = add(self.apply("exp", self.minimum0(X)), number(-1))
        scale, alpha = _SELU
        scaled = multiply(number(scale), X), multiply(number(scale * alpha), below)
        known: list[tuple[Sum, activations.Activation]] = [
            (X, activations.Linear()),
            (self.apply("relu", X), activations.ReLU()),
            (sign, activations.Sigmoid()),
            (self.apply("tanh", X), activations.Tanh()),
            (power, activations.Exponential()),
            (multiply(X, sign), activations.SiLU()),
            (add(half, multiply(half, error)), activations.GELU()),
            (multiply(X, curve), activations.GELU(approximate=True)),
            (self.apply("softplus", X), activations.Softplus()),
            (self.apply("log", add(number(1), power)), activations.Softplus()),
            (self._torch_softplus(), activations.Softplus()),
            (
                multiply(X, self.apply("tanh", self.apply("softplus", X))),
                activations.Mish(),
            ),
            (self.where_positive(*scaled), activations.SELU()),
        ]
        for pattern, found in known:
            if written(pattern) == written(given):
                return found
        return self._with_setting(given)

    def _torch_softplus(self) -> Sum:
        """Return what leaves out less than 2.1e-9 above a threshold of 20."""
        beyond = self.apply("greater", add(X, number(-20)))
        return self.apply("where", beyond, X, self.apply("softplus", X))

    def _with_setting(self, given: Sum) -> activations.Activation | None:
        """Return a leaky ReLU or ELU, whose number may be any."""
        if len(given) != 1:
            return None
        ((parts, factor),) = given.items()
        arguments = self.arguments.get(parts[0], ()) if len(parts) == 1 and factor == 1 else ()
        if len(arguments) != 3:
            return None
        no = arguments[2]
        slope, depth = no.get(("x",), 0.0), -no.get((), 0.0)
        if slope >= 0 and self._same(given, self.where_positive(X, multiply(number(slope), X))):
            return activations.LeakyReLU(slope)
        below = add(self.apply("exp", self.minimum0(X)), number(-1))
        if depth > 0 and self._same(given, self.where_positive(X, multiply(number(depth), below))):
            return activations.ELU(depth)
        return None

    @staticmethod
    def _same(one: Sum, two: Sum) -> bool:
        return written(one) == written(two)

    def parametric(self, given: Sum) -> tuple[activations.Activation, np.ndarray] | None:
        """Return f and the shares for ``x + share * (f(x) - x)``, or None."""
        names = {part for parts in given for part in parts if part in self.vectors}
        if len(names) != 1:
            return None
        (name,) = names
        changed: Sum = {}
        for parts, factor in given.items():
            if parts.count(name) == 1:
                rest = list(parts)
                rest.remove(name)
                changed[tuple(rest)] = factor
        others = {parts: factor for parts, factor in given.items() if name not in parts}
        found = self.activation(add(changed, X))
        if others != X or found is None or len(changed) + 1 != len(given):
            return None
        return found, self.vectors[name]

    def layer_norm(self, given: Sum) -> float | None:
        """Return epsilon for ``(x - mean) / sqrt(variance + epsilon)``, or None."""
        inverses = {part for parts in given for part in parts if part.startswith("inverse(")}
        if len(inverses) != 1:
            return None
        root = self._only_argument(self.arguments[inverses.pop()][0], "sqrt(")
        if root is None:
            return None
        epsilon = root.get((), 0.0)
        away = add(X, self.apply("mean", X), -1.0)
        variance = self.apply("mean", multiply(away, away))
        inverse = self.apply("inverse", self.apply("sqrt", add(variance, number(epsilon))))
        return epsilon if self._same(given, multiply(away, inverse)) else None

    def _only_argument(self, given: Sum, function: str) -> Sum | None:
        parts: Iterable[Any] = next(iter(given), ())
        name = next(iter(parts), "")
        if len(given) == 1 and given == {(name,): 1.0} and name.startswith(function):
            return self.arguments[name][0]
        return None
