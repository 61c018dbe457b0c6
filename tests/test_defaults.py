"""A network's defaults are those that the stored benchmark has chosen."""

import inspect
import json

import pytest

import fastnn
from bench import defaults, sets
from bench.report import results_apart
from fastnn import initializers

STORED = json.loads(results_apart("defaults").read_text("utf-8"))


def test_defaults_are_chosen_by_sets_for_tuning_alone():
    used = {fit["set"] for fit in STORED["fits"]}
    assert used == {name for name, each in sets.SETS.items() if each.half == "tuning"}


def test_the_default_start_is_the_best_of_those_measured():
    best = defaults.STARTS[defaults.best_start(STORED)]["start"]
    layers = [fastnn.Dense(3, "relu"), fastnn.Dense(1), fastnn.Dense(2, "softmax")]
    assert all(layer.kernel_initializer == initializers.get(best) for layer in layers)


@pytest.mark.parametrize(
    ("question", "usual"),
    [("batch size", "32"), ("epsilon", f"{fastnn.Adam().epsilon:g}"), ("held-out rows", "random")],
)
def test_other_choices_are_compared_with_the_default(question, usual):
    assert next(iter(defaults.QUESTIONS[question].choices)) == usual


def test_errors_of_defaults_are_compared_set_by_set():
    errors = [("bdims", 1, 0.2, 0.1), ("bdims", 2, 0.2, 0.2), ("digits", 1, 0.1, 0.8)]
    fits = [
        {"set": name, "question": "epsilon", "depth": depth, "choice": choice, "error": error}
        for name, depth, *both in errors
        for choice, error in zip(("1e-07", "1e-08"), both, strict=True)
    ]
    entry = {"fits": fits}
    assert defaults.ratio(entry, "epsilon", "1e-08") == pytest.approx(4 ** (1 / 3))
    assert defaults.ratio(entry, "epsilon", "1e-08", "regression") == pytest.approx(0.5**0.5)
    assert defaults.ratio(entry, "epsilon", "1e-08", depth=1) == pytest.approx(2)
    assert defaults.ratio(entry, "epsilon", "1e-07") == 1


def test_rows_are_held_out_at_random():
    assert inspect.signature(fastnn.Network.fit).parameters["validation_shuffle"].default is True
