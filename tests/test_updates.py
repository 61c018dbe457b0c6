"""Optimizers step by step: PyTorch's steps, and the way down a parabola and Rosenbrock's valley.

``python -m tests.test_updates`` records PyTorch's steps again; the latest are from torch 2.13.0.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from fastnn import optimizers
from fastnn.optimizers import (
    GD,
    LBFGS,
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    AdamW,
    NAdam,
    RMSprop,
    Rprop,
)  # fmt: skip
from fastnn.schedules import (
    CosineDecay,
    CosLog,
    ExponentialDecay,
    InverseTimeDecay,
    OneCycle,
    WarmUp,
)
from tests.descent import FUNCTIONS, descend

RECORD = Path(__file__).parent / "data" / "torch_ways.json"
STEPS, EVERY = 100, 10

OPTIMIZERS = {
    # ours, PyTorch's, its settings
    "sgd": (SGD(0.01), "SGD", {"lr": 0.01}),
    "gd": (GD(0.01), "SGD", {"lr": 0.01}),
    "momentum": (SGD(0.01, 0.9), "SGD", {"lr": 0.01, "momentum": 0.9}),
    "nesterov": (SGD(0.01, 0.8, True), "SGD", {"lr": 0.01, "momentum": 0.8, "nesterov": True}),
    "adagrad": (
        Adagrad(0.1, 0.2, 1e-3), "Adagrad",
        {"lr": 0.1, "initial_accumulator_value": 0.2, "eps": 1e-3},
    ),
    "adadelta": (
        Adadelta(0.5, 0.8, 1e-3), "Adadelta", {"lr": 0.5, "rho": 0.8, "eps": 1e-3}
    ),
    "rmsprop": (RMSprop(0.02, 0.95), "RMSprop", {"lr": 0.02, "alpha": 0.95, "eps": 1e-7}),
    "rmsprop momentum": (
        RMSprop(0.02, 0.95, 0.7, 1e-2), "RMSprop",
        {"lr": 0.02, "alpha": 0.95, "momentum": 0.7, "eps": 1e-2},
    ),
    "rmsprop centered": (
        RMSprop(0.02, 0.95, epsilon=1e-2, centered=True), "RMSprop",
        {"lr": 0.02, "alpha": 0.95, "centered": True, "eps": 1e-2},
    ),
    "rmsprop centered momentum": (
        RMSprop(0.02, 0.95, 0.7, 1e-2, True), "RMSprop",
        {"lr": 0.02, "alpha": 0.95, "momentum": 0.7, "centered": True, "eps": 1e-2},
    ),
    "rprop": (
        Rprop(0.1, (0.4, 1.3), (1e-4, 2.0)), "Rprop",
        {"lr": 0.1, "etas": (0.4, 1.3), "step_sizes": (1e-4, 2.0)},
    ),
    "adam": (
        Adam(0.1, 0.8, 0.95, 1e-2), "Adam", {"lr": 0.1, "betas": (0.8, 0.95), "eps": 1e-2}
    ),
    "amsgrad": (
        Adam(0.1, 0.8, 0.95, 1e-2, True), "Adam",
        {"lr": 0.1, "betas": (0.8, 0.95), "eps": 1e-2, "amsgrad": True},
    ),
    "adamw": (
        AdamW(0.1, 0.2, 0.8, 0.95, 1e-2), "AdamW",
        {"lr": 0.1, "weight_decay": 0.2, "betas": (0.8, 0.95), "eps": 1e-2},
    ),
    "adamw amsgrad": (
        AdamW(0.1, 0.2, 0.8, 0.95, 1e-2, True), "AdamW",
        {"lr": 0.1, "weight_decay": 0.2, "betas": (0.8, 0.95), "eps": 1e-2, "amsgrad": True},
    ),
    "nadam": (
        NAdam(0.02, 0.8, 0.99, 1e-2), "NAdam", {"lr": 0.02, "betas": (0.8, 0.99), "eps": 1e-2}
    ),
    "nadam as in Keras": (
        NAdam(0.05, momentum_decay=1), "NAdam", {"lr": 0.05, "eps": 1e-7, "momentum_decay": 1}
    ),
}  # fmt: skip

RATE = 0.02
SCHEDULES = {
    # ours, and PyTorch's with its settings or the factor as a function of t
    "inverse time": (InverseTimeDecay(RATE, 30, 2), lambda t: 1 / (1 + 2 * t / 30)),
    "inverse time by steps": (
        InverseTimeDecay(RATE, 30, 2, True), lambda t: 1 / (1 + 2 * (t // 30))
    ),
    "exponential": (ExponentialDecay(RATE, 10, 0.9), ("ExponentialLR", {"gamma": 0.9**0.1})),
    "step": (
        ExponentialDecay(RATE, 30, 0.5, True), ("StepLR", {"step_size": 30, "gamma": 0.5})
    ),
    "cosine": (
        CosineDecay(RATE, 120, 0.1), ("CosineAnnealingLR", {"T_max": 120, "eta_min": 0.1 * RATE})
    ),
    # The next two are RealMLP's, by its formulas of the share of updates that are done.
    "flat, then cosine": (
        CosineDecay(RATE, 50, hold_steps=50),
        lambda t: (1 + np.cos(np.pi * (max(1, 2 * t / 100) - 1))) / 2,
    ),
    "cosines of log": (
        CosLog(RATE, 100), lambda t: (1 - np.cos(2 * np.pi * np.log2(1 + 15 * t / 100))) / 2
    ),
    "one cycle": (
        OneCycle(RATE, 100),
        ("OneCycleLR", {"max_lr": RATE, "total_steps": 100, "cycle_momentum": False}),
    ),
    "warm-up": (WarmUp(RATE, 40, RATE / 2), ("LinearLR", {"start_factor": 0.5, "total_iters": 40})),
    "warm-up to a cosine": (
        WarmUp(CosineDecay(RATE, 50), 20),
        lambda t: t / 20 if t < 20 else (1 + np.cos(np.pi * min((t - 20) / 50, 1))) / 2,
    ),
}  # fmt: skip

DECAYING = {
    # ours, PyTorch's, its settings, its schedule
    "adamw, scheduled decay": (
        AdamW(0.1, InverseTimeDecay(2, 10, 1), 0.8, 0.95, 1e-2, True), "AdamW",
        {"lr": 0.1, "betas": (0.8, 0.95), "eps": 1e-2, "amsgrad": True}, None,
    ),
    "adamw, scheduled": (
        AdamW(CosLog(RATE, 100), CosineDecay(5, 50, hold_steps=50), 0.9, 0.95, 1e-2), "AdamW",
        {"lr": RATE, "betas": (0.9, 0.95), "eps": 1e-2}, SCHEDULES["cosines of log"][1],
    ),
}  # fmt: skip
DECAYS = {
    "adamw, scheduled decay": lambda t: 2 / (1 + t / 10),
    "adamw, scheduled": lambda t: 5 * SCHEDULES["flat, then cosine"][1](t),
}
"""What a plain loop sets in PyTorch's parameter group."""

CLIPPED = {
    "clipped by value": (SGD(0.05, 0.5, clipvalue=0.7), "SGD", {"lr": 0.05, "momentum": 0.5}),
    "clipped by norm": (Adam(0.05, global_clipnorm=0.7), "Adam", {"lr": 0.05, "eps": 1e-7}),
}
CLIPS = {
    "clipped by value": lambda dw: np.clip(dw, -0.7, 0.7),
    "clipped by norm": lambda dw: dw * min(1, 0.7 / np.sqrt((dw**2).sum())),
}

RUNS = {
    **{name: (*row, None) for name, row in (OPTIMIZERS | CLIPPED).items()},
    **DECAYING,
    **{
        f"{kind.__name__.lower()} {name}": (kind(ours), kind.__name__, {"lr": RATE, **more}, theirs)
        for name, (ours, theirs) in SCHEDULES.items()
        for kind, more in ((SGD, {}), (Adam, {"eps": 1e-7}))
    },
}
"""Ours, PyTorch's optimizer, its settings, its schedule."""
WAYS = [
    (run, function)
    for run, row in RUNS.items()
    for function in FUNCTIONS
    # From the start of Rosenbrock's valley plain descent at these rates flies off.
    if function == "parabola" or row[1] != "SGD" or run in CLIPPED
]


def _torch_way(run, function):
    """Return the places after each update of PyTorch's."""
    import torch

    _, kind, settings, schedule = RUNS[run]
    gradient, start = FUNCTIONS[function][1][1], FUNCTIONS[function][2]
    clip = CLIPS.get(run, lambda dw: dw)
    w = torch.tensor(start, dtype=torch.float64, requires_grad=True)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)  # NAdam's product of momenta is of that type
    try:
        return _follow(w, kind, settings, schedule, gradient, clip, DECAYS.get(run))
    finally:
        torch.set_default_dtype(before)


def _follow(w, kind, settings, schedule, gradient, clip, decay):
    import torch

    optimizer = getattr(torch.optim, kind)([w], **settings)
    scheduler = None
    if callable(schedule):
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, schedule)
    elif schedule:
        scheduler = getattr(torch.optim.lr_scheduler, schedule[0])(optimizer, **schedule[1])
    places, dw = [], np.empty(2)
    for step in range(STEPS):
        gradient(w.detach().numpy(), dw)
        w.grad = torch.tensor(clip(dw))
        if decay is not None:
            optimizer.param_groups[0]["weight_decay"] = decay(step)
        optimizer.step()
        if scheduler is not None and step < STEPS - 1:
            scheduler.step()
        places.append(w.detach().numpy().copy())
    return np.array(places)


each_way = pytest.mark.parametrize(("run", "function"), WAYS)


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@each_way
def test_the_way_is_the_recorded_one(run, function, backend):
    way = descend(RUNS[run][0], function, STEPS, backend=backend, every=EVERY)
    np.testing.assert_allclose(
        way, json.loads(RECORD.read_text())[f"{run}, {function}"], rtol=0, atol=1e-9
    )


@each_way
def test_the_way_is_pytorchs(run, function):
    pytest.importorskip("torch")
    way = descend(RUNS[run][0], function, STEPS, every=1)
    np.testing.assert_allclose(way, _torch_way(run, function), rtol=0, atol=1e-9)


def test_every_optimizer_has_a_way():
    kinds = {type(row[0]) for row in RUNS.values()} | {LBFGS}
    assert kinds == set(optimizers.TABLE.values())


# Updates, and settings with which each optimizer gets there; how near it must come is below.
DOWN = {
    "sgd": (SGD(0.002), 20_000),
    "momentum": (SGD(0.0005, 0.9), 10_000),
    "nesterov": (SGD(0.0005, 0.9, True), 10_000),
    "adagrad": (Adagrad(0.5), 10_000),
    "adadelta": (Adadelta(ExponentialDecay(1.0, 3000, 0.5), 0.99, 1e-4), 30_000),
    "rmsprop": (RMSprop(ExponentialDecay(0.01, 3000, 0.5)), 30_000),
    "rmsprop centered": (
        RMSprop(ExponentialDecay(0.01, 3000, 0.5), momentum=0.5, centered=True, epsilon=1e-3),
        30_000,
    ),
    "rprop": (Rprop(), 3000),
    "adam": (Adam(0.02), 10_000),
    "amsgrad": (Adam(0.02, amsgrad=True), 20_000),
    "adamw": (AdamW(0.02, weight_decay=1e-9), 10_000),
    "nadam": (NAdam(0.02), 10_000),
    "clipped": (SGD(0.002, 0.5, global_clipnorm=1.0), 20_000),
    "lbfgs": (LBFGS(tolerance=1e-9), 60),
}


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("name", DOWN)
def test_gets_to_the_bottom(name, function):
    if name == "lbfgs":
        pytest.importorskip("scipy")
    optimizer, steps = DOWN[name]
    np.testing.assert_allclose(
        descend(optimizer, function, steps), FUNCTIONS[function][3], atol=1e-2
    )


if __name__ == "__main__":
    rows = []
    for run, function in WAYS:
        way = _torch_way(run, function)[EVERY - 1 :: EVERY]
        rows.append(f' "{run}, {function}": {json.dumps(way.tolist())}')
    RECORD.write_text("{\n" + ",\n".join(rows) + "\n}\n")
