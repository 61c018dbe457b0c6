"""Backprop against finite differences, early stopping, rate halving, pre-training."""

import numpy as np
from pictures import arguments, decimals, panels, save

import fastnn
from fastnn.datasets import load_diabetes, load_digits


def backprop(args):
    """Compare one weight matrix's gradient with finite differences of many widths."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(50, 6)), rng.normal(size=(50, 2))
    layers = [fastnn.Dense(5, "tanh"), fastnn.Dense(2)]
    network = fastnn.Network(layers, dtype="float64", optimizer=fastnn.SGD(1.0))
    network.build(6)
    print(fastnn.check_gradients(network, X, y))
    weights = network.get_weights()
    network.fit(X, y, batch_size=50, shuffle=False)
    gradient = (weights[0] - network.get_weights()[0]).ravel()  # from one update at rate 1

    def loss(place, move):
        moved = [w.copy() for w in weights]
        moved[0].flat[place] += move
        network.set_weights(moved)
        return network.evaluate(X, y)

    widths = 10.0 ** np.arange(-12, 0)
    central, forward = np.empty((2, len(widths), gradient.size))
    for row, e in enumerate(widths):
        for place in range(gradient.size):
            up, down, here = loss(place, e), loss(place, -e), loss(place, 0.0)
            central[row, place] = (up - down) / (2 * e)
            forward[row, place] = (up - here) / e
    figure, axes = panels(1, width=4.6)
    for name, slopes in (("central", central), ("one-sided", forward)):
        errors = np.median(abs(slopes - gradient) / abs(gradient), axis=1)
        best = errors.argmin()
        print(
            f"{name} differences agree best at e = {widths[best]:.0e}: "
            f"about 1e{round(np.log10(errors[best]))}"
        )
        if figure:
            axes[0].loglog(widths, errors, marker="o", ms=3, label=f"{name} differences")
    if figure:
        axes[0].set(xlabel="width e", ylabel="median relative error")
        axes[0].legend()
    save(figure, args.directory, "backprop")


def stopping(args):
    data = load_diabetes()
    y = (data.y - data.y.mean()) / data.y.std()
    stop = fastnn.EarlyStopping("val_loss", patience=20)
    curves = {}
    for name, callbacks in (("all epochs", []), ("stopped", [stop])):
        network = fastnn.Network(
            [fastnn.Dense(64, "relu"), fastnn.Dense(64, "relu"), fastnn.Dense(1)],
            optimizer=fastnn.Adam(0.002),
            preprocessing="standardize",
        )
        epochs = 5 if args.quick else 150
        curves[name] = network.fit(
            data.X, y, epochs=epochs, validation_split=0.3, callbacks=callbacks
        ).history
    end = curves["all epochs"]["val_loss"][-1]
    print(
        f"best validation loss {stop.best:.3f} in epoch {stop.best_epoch + 1}, at the end {end:.3f}"
    )
    figure, axes = panels(1, width=4.6)
    if figure:
        for name, label in (("loss", "training"), ("val_loss", "validation")):
            values = curves["all epochs"][name]
            axes[0].plot(range(1, len(values) + 1), values, label=label)
        axes[0].axvline(stop.best_epoch + 1, color="C2", linestyle="--", label="weights kept")
        if stop.stopped_epoch is not None:
            axes[0].axvline(stop.stopped_epoch + 1, color="0.4", linestyle=":", label="stopped")
        axes[0].set(xlabel="epoch", ylabel="mean squared error")
        axes[0].legend()
    save(figure, args.directory, "early_stopping")


def halving(args):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 20))
    y = np.tanh(X[:, :5]).sum(1, keepdims=True) + 0.1 * rng.normal(size=(600, 1))
    figure, axes = panels(2)
    for name in ("constant", "halved on a plateau"):
        network = fastnn.Network(
            [fastnn.Dense(32, "tanh"), fastnn.Dense(1)], loss="mae", optimizer=fastnn.SGD(0.3)
        )
        rates = []
        callbacks = [
            lambda epoch, logs, net=network, out=rates: out.append(net.optimizer.learning_rate)
        ]
        if name != "constant":
            callbacks.append(fastnn.ReduceLROnPlateau("val_loss", factor=0.5, patience=5))
        epochs = 5 if args.quick else 120
        history = network.fit(
            X[:400], y[:400], epochs=epochs, validation_data=(X[400:], y[400:]), callbacks=callbacks
        ).history
        tail = np.array(history["val_loss"][-20:])
        print(f"rate {name}: validation MAE {tail.mean():.3f} +- {tail.std():.3f}, last 20 epochs")
        if figure:
            axes[0].semilogy(range(1, epochs + 1), history["val_loss"], label=name)
            axes[1].semilogy(range(1, epochs + 1), rates, label=name)
    if figure:
        axes[0].set(xlabel="epoch", ylabel="validation MAE")
        decimals(axes[0].yaxis)
        axes[1].set(xlabel="epoch", ylabel="learning rate")
        axes[1].legend()
    save(figure, args.directory, "rate_halving")


def pretraining(args):
    """Train on 100 labeled rows; pre-training also uses 1,100 more rows, without their labels."""
    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.y))
    X, y = digits.X[order] / 16, digits.y[order]
    epochs = 3 if args.quick else 120
    figure, axes = panels(1, width=4.6)
    for name in ("random start", "pre-trained"):
        curves = []
        for seed in range(1 if args.quick else 5):
            network = fastnn.Network(
                [fastnn.Dense(100, "sigmoid") for _ in range(3)] + [fastnn.Dense(10, "softmax")],
                loss="softmax_cross_entropy",
                optimizer=fastnn.Adam(0.001),
                metrics=["accuracy"],
                seed=seed,
            )
            if name == "pre-trained":
                fastnn.pretrain(network, X[:1200], epochs=2 if args.quick else 30)
            history = network.fit(
                X[:100], y[:100], epochs=epochs, validation_data=(X[1200:], y[1200:])
            ).history
            curves.append(100 * (1 - np.array(history["val_accuracy"])))
        mean = np.mean(curves, axis=0)
        print(f"{name}: test error {mean[-1]:.1f} % with 100 labels (mean of {len(curves)} seeds)")
        if figure:
            line = axes[0].plot(range(1, epochs + 1), mean, label=name)[0]
            low, high = np.min(curves, axis=0), np.max(curves, axis=0)
            axes[0].fill_between(range(1, epochs + 1), low, high, alpha=0.2, color=line.get_color())
    if figure:
        axes[0].set(xlabel="epoch", ylabel="test error (%), mean and range", ylim=(0, 100))
        axes[0].legend()
    save(figure, args.directory, "pretraining")


if __name__ == "__main__":
    given = arguments(__doc__)
    backprop(given)
    stopping(given)
    halving(given)
    pretraining(given)
