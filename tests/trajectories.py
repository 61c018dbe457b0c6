"""Networks whose way is known update by update, to find out where one was interrupted."""

import copy
import functools

import numpy as np

from fastnn import Adam, Dense, Network

ROWS, BATCH, EPOCHS = 60, 15, 5
_DATA = np.random.default_rng(0)
X = _DATA.standard_normal((ROWS, 3), np.float32)
Y = np.sin(X[:, :1])
OPTIONS = {"batch_size": BATCH, "shuffle": False}


def state(network):
    """Return everything that training changes, to compare."""
    model = network.model
    found = {"epochs": model.epochs, "updates": model.updates, "built": model.built}
    for number, parameter in enumerate(model.all_parameters()):
        arrays = {"value": parameter.value, **parameter.state}
        found |= {f"{number} {name}": array.tobytes() for name, array in arrays.items()}
        found[f"{number} penalty"] = repr(parameter.regularizer)
    return found


def fresh(optimizer=None, seed=1, **settings):
    layers = [Dense(8, "relu"), Dense(1)]
    settings = {"optimizer": optimizer or Adam(0.01), "n_threads": 2} | settings
    return Network(layers, seed=seed, kernel_regularizer="l2", **settings)


class Trajectory:
    """The states that an uninterrupted fit goes through, by their number of updates."""

    def __init__(self, make, whole_epochs=False):
        self.make, self.batches = make, 1 if whole_epochs else ROWS // BATCH
        self.states = {}
        network = make()
        network.build(3)
        if network.preprocessing:
            network.preprocessing.fit(X)  # not only the parts below
        self.make_state(network)
        for epoch in range(EPOCHS):
            self.add(network)
            for batches in range(1, self.batches):
                part = copy.copy(network)
                part.fit(X[: batches * BATCH], Y[: batches * BATCH], **self.options)
                part.model.epochs = epoch
                self.add(part)
            network.fit(X, Y, **self.options)
        self.add(network)
        self.last = state(network)

    @property
    def options(self):
        return OPTIONS if self.batches > 1 else {}

    @staticmethod
    def make_state(network):
        for parameter in network.model.all_parameters():
            parameter.keep_state(network.optimizer)

    def at_end(self, epoch):
        """Return the state after a whole epoch."""
        return self.states[epoch * self.batches][-1]

    def add(self, network):
        found = state(network)
        self.states.setdefault(found["updates"], []).append(found)

    def check(self, network):
        """Check an interrupted network, and that it goes on as if nothing had happened."""
        found = state(network)
        if not found["updates"] and found["built"]:  # the optimizer's state may not exist yet
            self.make_state(network)
            found = state(network)
        assert found in self.states[found["updates"]] or not found["built"], (
            f"no state of the fit: {found['epochs']} epochs and {found['updates']} updates"
        )
        whole = found["updates"] == found["epochs"] * self.batches
        twin = copy.copy(network)
        for each in (network, twin):
            if left := EPOCHS - each.epochs_done:
                each.fit(X, Y, epochs=left, **self.options)
        assert state(network) == state(twin), "a copy goes on differently"
        assert not whole or state(network) == self.last, "an uninterrupted fit ends differently"


@functools.cache
def trajectory(name, seed=1):
    def made():
        settings = {"lbfgs": {"optimizer": "lbfgs"}, "watched": {"preprocessing": "standardize"}}
        settings["reference"] = {"backend": "numpy"}
        return fresh(seed=seed, **settings.get(name, {}))

    return Trajectory(made, whole_epochs=name == "lbfgs")


@functools.cache
def trained_pair():
    pair = fresh(), fresh(seed=2)
    for network in pair:
        network.fit(X, Y)
    return pair
