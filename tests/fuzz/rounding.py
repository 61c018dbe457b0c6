"""Agreement to rounding, by how far the twins themselves move if all their numbers do."""

from collections import Counter
from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np

from fastnn.kernels.contract import CONTRACTS
from fastnn.reference import TWINS
from tests.fuzz.cases import Case
from tests.fuzz.running import Trained, trained


class Reference:
    """The twins' fit of a case, and how far it moves if what it starts from moves a little."""

    def __init__(self, case: Case, data: Any):
        self.case, self.data = case, data
        with np.errstate(all="ignore"):
            self.found = trained(case, data, backend="numpy")
        self._moves: list[list[float]] = []

    @property
    def tame(self) -> bool:
        """Whether it finished, far from the ends of the dtype."""
        if self.found.how != "finished":
            return False
        top = np.sqrt(np.finfo(self.case.dtype).max)
        return all(np.abs(each).max(initial=0) < top for each in numbers(self.found, self.data[0]))

    def moves(self, number: int) -> list[float] | None:
        """Return how far each array moved in so many fits; None if one did not finish."""
        while len(self._moves) < number:
            moves = self._moved(STEPS[len(self._moves)], len(self._moves))
            if moves is None:
                return None
            self._moves.append(moves)
        return [max(found) for found in zip(*self._moves[:number], strict=True)]

    def _moved(self, steps: int, seed: int) -> list[float] | None:
        rng = np.random.default_rng(seed)
        shaken = {name: _noisy(name, twin, steps, rng) for name, twin in TWINS.items()}
        with np.errstate(all="ignore"), mock.patch.dict(TWINS, shaken):
            found = trained(self.case, self.data, backend="numpy")
        if found.how != "finished":
            return None
        x = self.data[0]
        pairs = zip(numbers(found, x), numbers(self.found, x), strict=True)
        return [float(np.abs(one - two).max(initial=0)) for one, two in pairs]


STEPS = 2, 2, 4, 4, 16, 16, 64, 64
"""By how many units in the last place all numbers move in every kernel, fit by fit."""


GRADIENTS = "column_sums", "matmul_tn"
"""Where terms cancel, 0 and a tiny number differ by rounding alone, but not for the signs that L1
and Rprop take of it."""


JUMP = 1000
"""If rounding moves an array by so many tolerances, it decides a sign, as that which L1 takes of
a bias that swings around 0.  Where and when it does differs from fit to fit."""


def _noisy(name: str, twin: Callable[..., None], steps: int, rng: np.random.Generator):
    """Return a twin that reads and writes numbers moved in their last places, as rounding does."""

    def moved(array: np.ndarray) -> np.ndarray:
        info = np.finfo(array.dtype)
        change = steps * info.eps * rng.choice([-1, 1], array.shape)
        found = (array * (1 + change)).astype(array.dtype)
        subnormal = (array != 0) & (np.abs(array) < info.tiny)  # in compiled training these are 0
        found[subnormal & (rng.random(array.shape) < 0.5)] = 0
        return found

    def called(*arguments: Any) -> None:
        given = list(arguments)
        for place, (value, argument) in enumerate(
            zip(given, CONTRACTS[name].arguments, strict=True)
        ):
            if isinstance(value, np.ndarray) and value.dtype.kind == "f":
                if not argument.written:
                    given[place] = moved(value)
                elif argument.updated:
                    value[...] = moved(value)
        twin(*given)
        for value, argument in zip(given, CONTRACTS[name].arguments, strict=True):
            if argument.written and value.dtype.kind == "f":
                value[...] = moved(value)
                if name in GRADIENTS:
                    tiny = steps * np.finfo(value.dtype).tiny
                    nothing = value == 0
                    value[nothing] = rng.choice([-tiny, tiny], np.count_nonzero(nothing))

    return called


def numbers(found: Trained, x: Any) -> list[np.ndarray]:
    """Return the numbers of a fit to compare: weights, predictions, losses."""
    losses = np.array(found.history["loss"])
    return [*found.network.get_weights(), found.network.predict(x), losses]


@np.errstate(all="ignore")
def near(reference: Reference, found: Trained, other: Trained, counts: Counter) -> None:
    """Fail unless two fits agree, to what rounding can do.

    The tolerance belongs to the dtype and grows with the number of terms, and with how far the
    reference moves if all that its kernels read and write changes in the last places.
    """
    case, x = reference.case, reference.data[0]
    if not reference.tame or reference.moves(2) is None:
        counts["(too close to the dtype's ends to compare)"] += 1
        return
    assert found.how == other.how, (found.error, other.error)
    actual, expected = numbers(found, x), numbers(other, x)
    info, terms = np.finfo(case.dtype), 64 + case.rows + case.columns
    for fits in range(0, len(STEPS) + 1, 2):
        moves = reference.moves(fits) if fits else [0.0] * len(actual)
        if moves is None:
            counts["(too close to the dtype's ends to compare)"] += 1
            return
        wrong, jumps = [], False
        for place, (one, two) in enumerate(zip(actual, expected, strict=True)):
            own = terms * float(info.eps) * np.abs(two).max(initial=0)
            allowed = own + 16 * moves[place]
            jumps |= moves[place] > JUMP * own
            off = float(np.abs(one.astype(np.float64) - two).max(initial=0))
            if not off <= allowed + 8 * float(info.eps):  # as kernels, to 8 eps of 1
                wrong.append(f"array {place} is off by {off:.3g}, allowed {allowed:.3g}")
        if not wrong:
            counts["numbers compared"] += sum(each.size for each in actual)
            return
        if jumps:
            counts["(a sign that rounding decides)"] += 1
            return
    raise AssertionError("; ".join(wrong))
