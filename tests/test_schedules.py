"""Schedules: values by hand, how updates read them and what they refuse."""

import numpy as np
import pytest

from fastnn import (
    SGD,
    AdamW,
    CosineDecay,
    CosLog,
    Dense,
    Dropout,
    ExponentialDecay,
    InverseTimeDecay,
    Network,
    OneCycle,
    Schedule,
    WarmUp,
    fit_many,
    schedules,
)  # fmt: skip
from fastnn.engine import single
from fastnn.training import bounds, lowering
from fastnn.training.lowering import Data, Order
from fastnn.training.recovery import largest

WAVE = 0.1 * np.sin(np.pi * np.log2(3)) ** 2
VALUES = [
    # schedule, {t: rate}
    (InverseTimeDecay(0.1, 2000, 1), {0: 0.1, 1000: 0.1 / 1.5, 2000: 0.05, 6000: 0.025}),
    (InverseTimeDecay(0.1, 10, 3, staircase=True), {9: 0.1, 10: 0.025, 19: 0.025, 20: 0.1 / 7}),
    (ExponentialDecay(0.1, 10, 0.25), {0: 0.1, 5: 0.05, 10: 0.025}),
    (ExponentialDecay(0.1, 10, 0.5, staircase=True), {9: 0.1, 10: 0.05, 25: 0.025}),
    (CosineDecay(0.1, 100), {0: 0.1, 50: 0.05, 100: 0, 1000: 0}),
    (CosineDecay(0.1, 300, alpha=0.2), {100: 0.08, 150: 0.06, 200: 0.04, 400: 0.02}),
    (CosineDecay(0.1, 50, hold_steps=50), {0: 0.1, 49: 0.1, 50: 0.1, 75: 0.05, 100: 0, 1000: 0}),
    (WarmUp(CosineDecay(0.1, 6, 0.5, 2), 3), {0: 0, 3: 0.1, 5: 0.1, 8: 0.075, 11: 0.05}),
    # At t = 20, 50 and 110, the logarithm is that of 3, 6 and 12.
    (CosLog(0.1, 150), {0: 0, 10: 0, 20: WAVE, 30: 0, 50: WAVE, 70: 0, 110: WAVE, 150: 0, 999: 0}),
    (CosLog(0.1, 6, 1), {0: 0, 3: 0.1 * np.sin(np.pi * np.log2(1.5)) ** 2, 6: 0}),
    (OneCycle(1.0, 11, 4 / 11, 10, 100), {0: 0.1, 3: 1.0, 10: 0.001, 50: 0.001}),
    (OneCycle(0.8, 13, 5 / 13, 8, 8), {0: 0.1, 2: 0.45, 4: 0.8, 8: 0.40625, 12: 0.0125}),
    (WarmUp(0.4, 4), {0: 0, 1: 0.1, 3: 0.3, 4: 0.4, 100: 0.4}),
    (WarmUp(InverseTimeDecay(0.4, 10, 1), 4, 0.2), {0: 0.2, 2: 0.3, 4: 0.4, 14: 0.2}),
    (WarmUp(WarmUp(0.4, 4, 0.2), 2), {0: 0, 1: 0.1, 2: 0.2, 4: 0.3, 6: 0.4}),
]


@pytest.mark.parametrize(("schedule", "values"), VALUES, ids=lambda value: repr(value)[:40])
def test_rates_are_those_by_hand(schedule, values):
    for t, rate in values.items():
        assert schedule(t) == pytest.approx(rate, rel=1e-12, abs=1e-17), t


def test_every_schedule_is_tried():
    assert {type(schedule) for schedule, _ in VALUES} == set(schedules.TABLE.values())


@pytest.mark.parametrize("schedule", [row[0] for row in VALUES], ids=lambda value: repr(value)[:40])
def test_no_rate_exceeds_the_upper_bound_which_some_come_near(schedule):
    most = max(map(schedule, range(200)))
    assert 0.9 * schedule.upper_bound() <= most <= schedule.upper_bound() * (1 + 1e-15)


def test_growth_has_no_upper_bound():
    assert ExponentialDecay(0.1, 1, 1.1).upper_bound() == WarmUp(Own(), 1).upper_bound() == np.inf


class Own(Schedule):
    pass


def _problem():
    x = np.random.default_rng(0).standard_normal((40, 3))
    return x, x[:, :1] * 2


@pytest.mark.parametrize("schedule", [row[0] for row in VALUES], ids=lambda value: repr(value)[:40])
def test_an_epoch_follows_the_schedule_update_by_update(schedule):
    x, y = _problem()
    network = Network([Dense(1)], optimizer=SGD(schedule), dtype="float64")
    network.fit(x, y, epochs=3, batch_size=10, shuffle=False)
    by_hand = Network([Dense(1)], dtype="float64")
    for t in range(12):
        rate = schedule(t)
        if not rate:
            by_hand.build(3)
            continue
        by_hand.optimizer = SGD(rate)
        rows = slice(10 * (t % 4), 10 * (t % 4) + 10)
        by_hand.fit(x[rows], y[rows])
    for one, two in zip(network.get_weights(), by_hand.get_weights(), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-13)


def _kernels(optimizer, *layers):
    network = Network([Dense(4), *layers, Dense(1)], optimizer=optimizer)
    network.build(3)
    network.model.keep_state()
    data = Data(*_problem())
    program, _ = lowering.training(network.model, optimizer, data, Order(), 10, 1)
    return [step.kernel for _, group in program.groups if group for step in group.steps]


def test_a_scheduled_update_rides_in_the_product_and_a_constant_one_pays_nothing():
    constant, scheduled = _kernels(SGD(0.1)), _kernels(SGD(CosineDecay(0.1, 10)))
    assert "matmul_tn_add" in constant and "matmul_tn" not in constant
    assert sorted(scheduled) == sorted([*constant, "cosine_rate"])


def test_numbers_of_scheduled_decay_and_dropout_are_computed_once_per_update():
    constant = _kernels(AdamW(), Dropout(0.5))
    scheduled = _kernels(AdamW(CosLog(0.1, 99), CosineDecay(0.1, 9)), Dropout(OneCycle(0.5, 9)))
    rates = ["cos_log_rate", "cosine_rate", "scaled_rate", "one_cycle_rate", "dropout_scale"]
    assert scheduled.count("dropout") == 2  # forward and backward
    assert sorted(scheduled) == sorted([*constant, *rates])


def _bits(network):
    model = network.model
    arrays = [a for p in model.all_parameters() for a in (p.value, *p.state.values())]
    return [array.tobytes() for array in arrays], model.updates


def test_short_fits_and_networks_among_others_count_the_same_updates(monkeypatch):
    calls, plain = [], single.train
    monkeypatch.setattr(single, "train", lambda *given: calls.append(given) or plain(*given))
    x, y = (array.astype(np.float32) for array in _problem())
    rate = CosineDecay(0.5, 16)
    layers = [Dropout(rate), Dense(4, "relu"), Dropout(rate), Dense(1)]
    once, pieces, many = (Network(layers, optimizer=AdamW(rate, rate)) for _ in range(3))
    once.fit(x, y, epochs=6, batch_size=10)
    for _ in range(6):
        pieces.fit(x, y, batch_size=10)
    assert len(calls) == 4  # from the third on
    fit_many([many], x, y, epochs=6, batch_size=10)
    assert _bits(once) == _bits(pieces) == _bits(many)
    assert bounds.is_finite(once.model, 9.0, 9.0, largest(once.model))
    rate.initial_learning_rate = np.nextafter(1.0, 0.0)
    assert not bounds.is_finite(once.model, 1e12, 9.0, largest(once.model))


def test_a_schedule_may_change_in_place():
    x, y = _problem()

    def network(decay_rate):
        layers = [Dropout(ExponentialDecay(0.9, 9, decay_rate)), Dense(1)]
        rate, decay = CosineDecay(0.1, 99), ExponentialDecay(0.9, 9, decay_rate)
        return Network(layers, optimizer=AdamW(rate, decay))

    changed, other, same = network(0.5), network(0.5), network(0.5)
    for each in (changed, other, same):
        each.fit(x, y)
    before = [_bits(each) for each in (changed, other, same)]
    assert before[0] == before[1] == before[2]
    changed.layers[0].rate.decay_rate = changed.optimizer.weight_decay.decay_rate = 0.1
    other.layers[0].rate, other.optimizer = network(0.1).layers[0].rate, network(0.1).optimizer
    for each in (changed, other, same):
        each.fit(x, y)
    assert _bits(changed) == _bits(other) != _bits(same)


BAD = [
    (lambda: InverseTimeDecay(0, 10, 1), ValueError, "initial_learning_rate is 0"),
    (lambda: ExponentialDecay(0.1, 0, 1), ValueError, "decay_steps is 0"),
    (lambda: ExponentialDecay(0.1, 10, -1), ValueError, "decay_rate is -1"),
    (lambda: ExponentialDecay(0.1, 10, 1, 1), TypeError, "staircase is 1"),
    (lambda: CosineDecay(0.1, 10, 2), ValueError, "alpha is 2"),
    (lambda: CosineDecay(0.1, 10, hold_steps=-1), ValueError, "hold_steps is -1"),
    (lambda: CosineDecay(0.1, 10, hold_steps=0.5), TypeError, "hold_steps is 0.5"),
    (lambda: CosLog(0, 10), ValueError, "max_learning_rate is 0"),
    (lambda: CosLog(0.1, 0), ValueError, "total_steps is 0"),
    (lambda: CosLog(0.1, 10, 0), ValueError, "cycles is 0"),
    (lambda: CosLog(0.1, 10, 51), ValueError, "cycles is 51, wanted at most 50"),
    (lambda: OneCycle(0.1, 0), ValueError, "total_steps is 0"),
    (lambda: OneCycle(0.1, 3), ValueError, "pct_start is 0.3, wanted more than 1 / total_steps"),
    (lambda: OneCycle(0.1, 30, div_factor=0), ValueError, "div_factor is 0"),
    (lambda: WarmUp(0.1, 0), ValueError, "warmup_steps is 0"),
    (lambda: WarmUp(0.1, 5, -1), ValueError, "initial_learning_rate is -1"),
    (lambda: WarmUp("0.1", 5), TypeError, "learning_rate is '0.1'"),
]


@pytest.mark.parametrize(("make", "kind", "message"), BAD)
def test_bad_settings(make, kind, message):
    with pytest.raises(kind, match=message):
        make()
