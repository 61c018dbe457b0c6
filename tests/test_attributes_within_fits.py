"""What may change within a fit works from then on; what may not raises."""

import re

import numpy as np
import pytest

from fastnn import (
    LBFGS,
    SGD,
    BatchNormalization,
    Dense,
    EarlyStopping,
    ModelCheckpoint,
)  # fmt: skip
from tests.test_attributes import X, Y, network


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda n: setattr(n, "optimizer", LBFGS()), "LBFGS wants all 12 rows in every batch"),
        (lambda n: setattr(n, "loss", "poisson"), "wants other targets than this fit began with"),
        (lambda n: setattr(n, "preprocessing", "center"), "cannot change during a fit"),
        (lambda n: setattr(n.layers[0], "units", 7), "layers[0].units is 7"),
    ],
)
def test_what_cannot_change_within_a_fit(change, said):
    one = network()
    with pytest.raises(ValueError, match=re.escape(said)):
        one.fit(X, Y, epochs=2, batch_size=6, callbacks=[lambda epoch, logs: change(one)])
    assert one.epochs_done == 1 and np.isfinite(one.get_weights()[0]).all()


def test_settings_of_callbacks_within_a_fit(tmp_path):
    def fit(callback, change):
        calls = [callback, lambda epoch, logs: change(callback) if epoch == 2 else None]
        return len(network().fit(X, Y, epochs=9, callbacks=calls).epoch)

    nothing = lambda stop: None  # noqa: E731
    assert fit(EarlyStopping("loss", patience=5), nothing) == 9
    assert fit(EarlyStopping("loss", min_delta=9), lambda s: setattr(s, "patience", 5)) == 2
    assert fit(EarlyStopping("loss", patience=5), lambda s: setattr(s, "mode", "max")) == 8
    with pytest.raises(ValueError, match="EarlyStopping monitors 'val_loss', but an epoch has"):
        fit(EarlyStopping("loss", patience=6), lambda stop: setattr(stop, "monitor", "val_loss"))
    checkpoint = ModelCheckpoint(tmp_path / "{epoch}", "loss", every=9)
    fit(checkpoint, lambda save: save.set_params(every=1))
    assert len(list(tmp_path.iterdir())) == 6


def test_a_metric_that_a_callback_adds_is_there_from_the_next_epoch_on():
    one = network(loss="mse")
    history = one.fit(
        X, Y, epochs=3, callbacks=[lambda epoch, logs: epoch or one.metrics.append("mae")]
    )
    assert np.isnan(history.history["mae"]).tolist() == [True, False, False]


def test_layers_that_a_callback_takes_away_while_the_loss_overflows():
    layers = [Dense(2), BatchNormalization()]
    for take in (lambda one: one.layers.reverse(), lambda one: one.layers.pop()):
        one = network(layers, loss="mse", optimizer=SGD(1e-30))
        with pytest.raises(ValueError, match="but the network was built with Dense, BatchNorm"):
            one.fit(X, np.full((12, 2), 1e12), callbacks=[lambda epoch, logs: take(one)])  # noqa: B023
        assert np.isfinite(one.get_weights()[0]).all()


@pytest.mark.parametrize(("size", "said"), [(6, "began in layer 0"), (12, "made the kernel of l")])
def test_layers_that_are_taken_away_within_an_epoch_that_diverges(size, said, monkeypatch):
    one = network(loss="mae", optimizer=SGD(1e38))
    one.build(3)
    run = type(one.optimizer).run

    def taken(*arguments, **options):
        outcome = run(*arguments, **options)
        one.layers.clear()  # as a callback's `on_progress` may
        return outcome

    monkeypatch.setattr(SGD, "run", taken)
    with pytest.raises(FloatingPointError, match=said):
        one.fit(1e3 * X, Y, batch_size=size)
    assert all(np.isfinite(each).all() for each in one.get_weights())
