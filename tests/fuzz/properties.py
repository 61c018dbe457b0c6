"""What must hold of every case, and how it is checked."""

import contextlib
import copy
import dataclasses
import functools
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

import fastnn
from tests.fuzz import changes, signals, workers
from tests.fuzz.cases import Case
from tests.fuzz.damaged_cache import a_damaged_cache
from tests.fuzz.doors import kernels_doors
from tests.fuzz.faults import faults
from tests.fuzz.forging import forge
from tests.fuzz.rounding import Reference, near
from tests.fuzz.running import (
    REFUSED,
    guarded_buffers,
    outcome,
    reloaded,
    stored,
    threads_however_small_the_work,
    trained,
    warnings_are_errors,
)
from tests.fuzz.short_fits import short_fits


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
                if not name.startswith("val_"):  # the loss of other rows may overflow, to NaN
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
        if self.found.how != "finished" or self.found.network.epochs_done < max(2, epochs):
            return  # L-BFGS may end early
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
        assert network.predict(x[:0]).shape == together[:0].shape
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
            case,
            weights="",
            fit={**case.fit, "batch_size": 1000, "shuffle": False, "drop_last": False},
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
        with contextlib.suppress(fastnn.FitManyError):  # of the other one
            fastnn.fit_many(networks, x, y, sample_weight=weight, n_threads=2, **self.case.fit)
        assert stored(networks[0]) == stored(self.found.network)

    def an_error_in_a_callback(self) -> None:
        """A fit that a callback ends with an error goes on as if there had been none."""
        epochs = self.case.fit.get("epochs", 1)
        if self.found.how != "finished" or self.found.network.epochs_done < max(2, epochs):
            return  # L-BFGS may end early

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

    def forged_files(self) -> None:
        """A file with one thing changed is refused, or is a network that works and is saved."""
        rng = np.random.default_rng(self.case.seed)
        for _ in range(8 if self.found.how == "finished" else 0):
            what, network = forge(self.found.network, rng)
            self.counts["files forged"] += 1
            if network is None:
                continue
            try:
                again = reloaded(network)
                assert stored(again) == stored(network), what
                with contextlib.suppress(*REFUSED, FloatingPointError):
                    network.predict(self.x)
                trained(self.case, self.data, 1, network)
            except Exception as error:
                error.add_note(what)
                raise

    interrupted = signals.interrupted

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
            if name.startswith("X ") and name != "X without rows":
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


def properties() -> dict[str, Callable[[Checked], None]]:
    """Return the properties by name."""
    found = {
        name.replace("_", " "): method
        for name, method in vars(Checked).items()
        if not name.startswith("_") and name != "reference"
    }
    more = (
        changes.harmless_changes,
        changes.wild_changes,
        short_fits,
        workers.in_another_process,
        a_damaged_cache,
        kernels_doors,
    )
    return found | {each.__name__.replace("_", " "): each for each in more}


def check(case: Case, counts: Counter | None = None) -> None:
    """Check all properties of a case; raise what went wrong."""
    counts = Counter() if counts is None else counts
    counts["cases"] += 1
    with (
        threads_however_small_the_work(),
        warnings_are_errors(),
        np.errstate(all=case.errstate),
    ):
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
