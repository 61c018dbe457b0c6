"""What must hold of every case, and how it is checked."""

import contextlib
import copy
import dataclasses
import functools
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

import fastnn
from fastnn.engine import cores
from fastnn.engine import program as programs
from fastnn.kernels.contract import CONTRACTS
from fastnn.reference import TWINS
from tests.fuzz.cases import Case
from tests.guard import GuardedRegion

REFUSED = ValueError, TypeError
"""What bad input raises, and nothing else; a fit that diverges raises FloatingPointError."""


@contextlib.contextmanager
def threads_however_small_the_work() -> Iterator[None]:
    """Let a given `n_threads` be what it says; see tests/conftest.py."""
    by_work, tried = cores.threads_for, cores.FLOPS_PER_TRIED
    cores.threads_for = lambda flops, rows, most=None, worth=None: by_work(
        flops, rows, most, 1 if most is not None and worth is None else worth
    )
    cores.FLOPS_PER_TRIED = float("inf")
    try:
        yield
    finally:
        cores.threads_for, cores.FLOPS_PER_TRIED = by_work, tried


def _guarded(shape: Any, dtype: Any) -> np.ndarray:
    """Return zeros whose last byte touches a page that nobody may touch."""
    zeros = np.zeros(shape, dtype)
    return GuardedRegion(max(zeros.nbytes, 1)).place(zeros, "last") if zeros.nbytes else zeros


@contextlib.contextmanager
def guarded_buffers() -> Iterator[None]:
    """Put the buffers and parameters that fastnn makes at guard pages."""
    plain = programs.aligned
    users = [
        module
        for name, module in list(sys.modules.items())
        if name.startswith("fastnn.") and getattr(module, "aligned", None) is plain
    ]
    for module in users:
        module.aligned = _guarded
    try:
        yield
    finally:
        for module in users:
            module.aligned = plain


@dataclasses.dataclass
class Trained:
    """What came of a fit."""

    network: fastnn.Network
    history: dict[str, list[float]]
    error: Exception | None = None

    @property
    def how(self) -> str:
        """How it ended."""
        if self.error is None:
            return "finished"
        return "diverged" if isinstance(self.error, FloatingPointError) else "refused"


def trained(case: Case, data: Any, epochs: int | None = None, network: Any = None, **options):
    """Fit a network, or a new one; errors that a fit may raise are part of what comes of it."""
    network = network or case.network(**options)
    x, y, weight = data
    how = {**case.fit, **({} if epochs is None else {"epochs": epochs})}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "loss 'signed_error'", UserWarning)
        try:
            history = network.fit(x, y, sample_weight=weight, **how).history
        except (*REFUSED, FloatingPointError) as error:
            if isinstance(error, FloatingPointError) and "not finite" not in str(error):
                raise  # NumPy's
            return Trained(network, {}, error)
    return Trained(network, {name: history[name] for name in history if name != "seconds"})


def stored(network: fastnn.Network) -> bytes:
    """Return all that is kept of a network, as `save` writes it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network"
        network.save(path)
        return path.read_bytes()


def reloaded(network: fastnn.Network) -> fastnn.Network:
    """Return the network, written to a file and read."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network"
        network.save(path)
        return fastnn.load(path)


def outcome(found: Trained, x: Any) -> list[bytes]:
    """Return all numbers of a fit, as bytes."""
    if found.how == "refused":
        return [str(found.error).encode()]
    numbers = [*found.network.get_weights(), found.network.predict(x)]
    numbers += [np.array(values) for _, values in sorted(found.history.items())]
    return [array.tobytes() for array in numbers]


def _plain(array: np.ndarray) -> np.ndarray:
    return np.array(array, array.dtype.newbyteorder("="), order="C")


class Checked:
    """A case in the course of its checks."""

    def __init__(self, case: Case, counts: Counter):
        self.case, self.counts = case, counts
        self.data = case.data()
        x, y, weight = self.data
        self.x, self.y, self.weight = x, y, weight
        guard = guarded_buffers() if case.guarded else contextlib.nullcontext()
        with guard:
            self.found = trained(case, self.data, n_threads=1)
            self.results = outcome(self.found, x)
        counts[self.found.how] += 1

    @functools.cached_property
    def reference(self) -> "Reference":
        """The twins' fit of the same case."""
        return Reference(self.case, self.data)

    # The properties.  Each is a method; its name is what is counted.

    def finite_or_an_error(self) -> None:
        """Weights are finite whatever happens; what is refused changes nothing."""
        if self.found.how == "refused":
            assert self.found.network.epochs_done == 0
            assert not self.found.network.model.updates
            return
        for number, weights in enumerate(self.found.network.get_weights()):
            assert np.isfinite(weights).all(), f"weights[{number}] are not finite"
        if self.found.how == "finished":
            for name, values in self.found.history.items():
                assert np.isfinite(values).all(), f"{name} is {values}"

    def data_is_not_changed(self) -> None:
        """The arrays that came in hold what they held."""
        for given, fresh in zip(self.data, self.case.data(), strict=True):
            if given is not None:
                assert np.asarray(given).tolist() == np.asarray(fresh).tolist()

    def any_number_of_threads(self) -> None:
        """The same bits on two and three threads."""
        for n_threads in (2, 3):
            again = trained(self.case, self.data, n_threads=n_threads)
            assert outcome(again, self.x) == self.results, f"{n_threads} threads"

    def any_form_of_the_data(self) -> None:
        """The same bits from plain arrays of the same type."""
        x, y = (_plain(np.asarray(each)) for each in (self.x, self.y))
        again = trained(self.case, (x, y, self.weight), n_threads=1)
        assert again.how == self.found.how, again.error
        if again.error is None:
            assert outcome(again, x) == self.results

    def compiled_agrees_with_reference(self) -> None:
        """The twins give the same numbers, to rounding."""
        reference = self.reference.found
        if "refused" in (self.found.how, reference.how):
            assert self.found.how == reference.how, (self.found.error, reference.error)
            assert str(self.found.error) == str(reference.error)
            return
        near(self.reference, self.found, reference, self.counts)

    def saved_equals_loaded(self) -> None:
        """A file gives back the network, which predicts and evaluates the same."""
        if self.found.how == "refused":
            return
        network, again = self.found.network, reloaded(self.found.network)
        assert stored(again) == stored(network)
        assert again.predict(self.x).tobytes() == network.predict(self.x).tobytes()
        one, two = (each.evaluate(self.x, self.y, self.weight) for each in (network, again))
        assert np.array_equal(one, two, equal_nan=True)

    def fit_in_pieces(self) -> None:
        """An epoch, a file, and the other epochs are one fit of all epochs."""
        epochs = self.case.fit.get("epochs", 1)
        if self.found.how != "finished" or epochs < 2:
            return
        first = trained(self.case, self.data, 1, n_threads=1)
        network = reloaded(first.network)
        assert stored(network) == stored(first.network)
        rest = trained(self.case, self.data, epochs - 1, network)
        rest.history = {
            name: first.history[name] + rest.history[name] for name in self.found.history
        }
        assert outcome(rest, self.x) == self.results
        assert stored(rest.network) == stored(self.found.network)

    def a_row_alone(self) -> None:
        """A row's prediction does not depend on the rows beside it."""
        if self.found.how == "refused" or self.case.x_form == "arrays in a list":
            return
        network, x = self.found.network, np.asarray(self.x)
        together = network.predict(self.x)
        for size in (1, 3):
            assert network.predict(self.x, batch_size=size).tobytes() == together.tobytes()
        for first, last in ((0, 1), (len(x) // 2, len(x))):
            assert network.predict(x[first:last]).tobytes() == together[first:last].tobytes()

    def factor_of_weights(self) -> None:
        """A common factor of the weights cancels."""
        if self.weight is None or self.found.how != "finished":
            return
        weight = np.asarray(self.weight, np.float64)
        for factor in (2.0**-60, 2.0**60):
            with np.errstate(all="ignore"):
                scaled = weight * factor
            if np.isfinite(scaled).all() and (scaled / factor == weight).all():
                again = trained(self.case, (self.x, self.y, scaled), n_threads=1)
                near(self.reference, again, self.found, self.counts)

    def repeated_rows(self) -> None:
        """In a full batch, a row that is there twice is a row of twice the weight."""
        case = self.case
        alone = ("BatchNorm", "Dropout", "drop_connect")
        if self.found.how != "finished" or any(word in case.layers for word in alone):
            return
        if "validation_split" in case.fit or "preprocessing" in case.options:
            return
        whole = dataclasses.replace(
            case, weights="", fit={**case.fit, "batch_size": 1000, "shuffle": False}
        )
        x, y, _ = whole.arrays
        twice = np.arange(len(x)) % 2 == 0
        rows = np.repeat(np.arange(len(x)), 1 + twice)
        weighted = trained(whole, (x, y, 1.0 + twice), n_threads=1)
        repeated = trained(whole, (x[rows], y[rows], None), n_threads=1)
        near(Reference(whole, (x, y, 1.0 + twice)), repeated, weighted, self.counts)

    def among_others(self) -> None:
        """A network trained with others is the network trained alone."""
        if self.found.how != "finished":
            return
        networks = [self.case.network(seed=self.case.seed + more, n_threads=1) for more in (0, 1)]
        x, y, weight = self.data
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "loss 'signed_error'", UserWarning)
            with contextlib.suppress(fastnn.FitManyError):  # of the other one
                fastnn.fit_many(networks, x, y, sample_weight=weight, n_threads=2, **self.case.fit)
        assert stored(networks[0]) == stored(self.found.network)

    def an_error_in_a_callback(self) -> None:
        """A fit that a callback ends with an error goes on as if there had been none."""
        epochs = self.case.fit.get("epochs", 1)
        if self.found.how != "finished" or epochs < 2:
            return

        def fail(epoch: int, logs: Any) -> None:
            raise LookupError("from the callback")

        network = self.case.network(n_threads=1)
        with contextlib.suppress(LookupError):
            fit = {**self.case.fit, "callbacks": [fail]}
            trained(dataclasses.replace(self.case, fit=fit), self.data, network=network)
        assert network.epochs_done == 1
        trained(self.case, self.data, epochs - 1, network)
        assert stored(network) == stored(self.found.network)

    def a_copy(self) -> None:
        """A copy trains on as the network does, and leaves it alone."""
        if self.found.how != "finished":
            return
        network = copy.copy(self.found.network)
        before = stored(self.found.network)
        twin = reloaded(network)
        ends = [trained(self.case, self.data, 1, each) for each in (network, twin)]
        assert ends[0].how == ends[1].how
        assert stored(network) == stored(twin)
        assert stored(self.found.network) == before

    def bad_input_changes_nothing(self) -> None:
        """Each fault is one error of ours, and leaves every bit as it was."""
        if self.found.how == "refused":
            return
        network, before = self.found.network, stored(self.found.network)
        for name, (x, y, weight, how) in faults(self.case).items():
            calls: list[Callable[[], Any]] = [
                lambda: network.fit(x, y, sample_weight=weight, **how)  # noqa: B023
            ]
            if not how:
                calls.append(lambda: network.evaluate(x, y, weight))  # noqa: B023
                calls.append(lambda: network.train_on_batch(x, y, weight))  # noqa: B023
            if name.startswith("X "):
                calls.append(lambda: network.predict(x))  # noqa: B023
            for call in calls:
                try:
                    call()
                except REFUSED as error:
                    assert str(error), name
                    self.counts["faults injected"] += 1
                else:
                    raise AssertionError(f"{name}: no error")
            assert stored(network) == before, name


def faults(case: Case) -> dict[str, tuple[Any, Any, Any, dict[str, Any]]]:
    """Return what must be refused, by name: inputs, targets, weights, and how to fit."""
    x, y, weight = case.arrays
    n = len(x)
    numbers = x.astype(np.float64)
    labels = y.ndim == 1

    def spoiled(array: np.ndarray, value: float) -> np.ndarray:
        array = array.astype(np.float64)
        array[-1, ...] = value
        return array

    found: dict[str, tuple[Any, Any, Any, dict[str, Any]]] = {
        "X with NaN": (spoiled(x, np.nan), y, weight, {}),
        "X with an infinity": (spoiled(x, np.inf), y, weight, {}),
        "X of text": (numbers.astype(str), y, weight, {}),
        "X of complex numbers": (numbers + 1j, y, weight, {}),
        "X with a column more": (np.hstack([numbers, numbers[:, :1]]), y, weight, {}),
        "X of one dimension": (numbers[0], y, weight, {}),
        "X without rows": (numbers[:0], y, weight, {}),
        "y of another length": (x, np.concatenate([y, y[:1]]), weight, {}),
        "y of another shape": (x, y[:, None] if labels else y[:, 0], weight, {}),
        "y with NaN": (x, spoiled(y, np.nan), weight, {}),
        "weights of another length": (x, y, np.ones(n + 1), {}),
        "weights below 0": (x, y, np.where(np.arange(n) == n - 1, -1.0, 1.0), {}),
        "weights all 0": (x, y, np.zeros(n), {}),
        "weights with an infinity": (x, y, np.full(n, np.inf), {}),
        "batch_size 0": (x, y, weight, {"batch_size": 0}),
        "epochs 0": (x, y, weight, {"epochs": 0}),
        "epochs in text": (x, y, weight, {"epochs": "3"}),
        "shuffle 1": (x, y, weight, {"shuffle": 1}),
        "validation_split 1": (x, y, weight, {"validation_split": 1.0}),
        "validation_data alone": (x, y, weight, {"validation_data": (x,)}),
        "a number for callbacks": (x, y, weight, {"callbacks": 3}),
    }
    if labels:
        found["a label too large"] = x, np.where(np.arange(n) == n - 1, case.outputs, y), weight, {}
        found["a label below 0"] = x, np.where(np.arange(n) == 0, -1, y), weight, {}
    if case.dtype == "float32" and not case.options:
        found["X too large"] = spoiled(x, 1e300), y, weight, {}
    return found


def properties() -> dict[str, Callable[[Checked], None]]:
    """Return the properties by name."""
    return {
        name.replace("_", " "): method
        for name, method in vars(Checked).items()
        if not name.startswith("_") and name != "reference"
    }


def check(case: Case, counts: Counter | None = None) -> None:
    """Check all properties of a case; raise what went wrong."""
    counts = Counter() if counts is None else counts
    counts["cases"] += 1
    with threads_however_small_the_work(), np.errstate(all=case.errstate):
        try:
            case.network()
        except REFUSED as error:
            assert str(error)
            counts["refused before a fit"] += 1
            return
        checked = Checked(case, counts)
        for name, method in properties().items():
            try:
                method(checked)
            except Exception as error:
                error.add_note(f"while checking: {name}")
                raise
            counts[name] += 1


# To rounding


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


def _noisy(name: str, twin: Callable[..., None], steps: int, rng: np.random.Generator):
    """Return a twin that reads and writes numbers moved in their last places, as rounding does."""

    def moved(array: np.ndarray) -> np.ndarray:
        change = steps * np.finfo(array.dtype).eps * rng.choice([-1, 1], array.shape)
        return (array * (1 + change)).astype(array.dtype)

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

    return called


def numbers(found: Trained, x: Any) -> list[np.ndarray]:
    """Return the numbers of a fit to compare: weights, predictions, losses."""
    losses = np.array(found.history["loss"])
    return [*found.network.get_weights(), found.network.predict(x), losses]


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
        wrong = []
        for place, (one, two) in enumerate(zip(actual, expected, strict=True)):
            allowed = terms * float(info.eps) * np.abs(two).max(initial=0) + 16 * moves[place]
            off = float(np.abs(one.astype(np.float64) - two).max(initial=0))
            if not off <= allowed + float(info.tiny):
                wrong.append(f"array {place} is off by {off:.3g}, allowed {allowed:.3g}")
        if not wrong:
            counts["numbers compared"] += sum(each.size for each in actual)
            return
    raise AssertionError("; ".join(wrong))
