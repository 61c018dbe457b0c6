"""Dropout and DropConnect: the mean over masks, and dropout right before a squared error."""

import numpy as np
from pictures import arguments, decimals, panels, save

import fastnn
from fastnn import kernels
from fastnn.datasets import load_diabetes, train_test_split

RATE = 0.5


def masked(a, step, scale):
    """Return an array with a half of its entries dropped, and the rest times `scale`."""
    out = np.empty_like(a)
    kernels.dropout(RATE, scale, 0, 0, step, 0, a, out)
    return out


def expectation(args):
    """Average the outputs of a layer of ReLU units over more and more masks."""
    rng = np.random.default_rng(0)
    x, W, v = rng.normal(size=(1, 50)), rng.normal(size=(50, 60)) / 7, rng.normal(size=(60, 1))
    h = np.maximum(x @ W, 0)
    draws = 100 if args.quick else 4000
    ways = {
        "dropout, inverted": (h @ v, lambda t: masked(h, t, 2.0) @ v),
        "dropout, scaled at test": (RATE * h @ v, lambda t: masked(h, t, 1.0) @ v),
        "DropConnect, before ReLU": (h @ v, lambda t: np.maximum(x @ masked(W, t, 2.0), 0) @ v),
    }
    figure, axes = panels(2)
    for number, (name, (predicted, draw)) in enumerate(ways.items()):
        outputs = np.array([draw(step).item() for step in range(draws)])
        means = outputs.cumsum() / np.arange(1, draws + 1)
        error = outputs.std() / np.sqrt(draws)
        print(
            f"{name}: prediction {predicted.item():.2f}, mean of {draws} masks {means[-1]:.2f} "
            f"+- {error:.2f}"
        )
        if figure:
            seen = np.unique(np.geomspace(1, draws, 120).astype(int))
            axes[0].semilogx(seen, means[seen - 1], label=name)
            axes[0].axhline(predicted.item(), color=f"C{number}", linestyle=":")
            counts, edges = np.histogram(outputs, bins=40, range=(-25, 25))
            axes[1].stairs(counts / draws, edges)
    if figure:
        axes[0].set(xlabel="masks", ylabel="mean output (dotted: prediction)")
        axes[1].set(xlabel="output with one mask", ylabel="share")
        axes[0].legend(fontsize=7)
    save(figure, args.directory, "dropout_mean")


def before_a_squared_error(args):
    """Fit a regression with dropout nowhere, in the middle, and right before the last layer."""
    data = load_diabetes()
    y = (data.y - data.y.mean()) / data.y.std()
    X_train, X_test, y_train, y_test = train_test_split(data.X, y, seed=0)
    D, drop = fastnn.Dense, fastnn.Dropout(0.5)
    nets = {
        "none": [D(64, "relu"), D(64, "relu"), D(1)],
        "after layer 1": [D(64, "relu"), drop, D(64, "relu"), D(1)],
        "right before the last": [D(64, "relu"), D(64, "relu"), drop, D(1)],
    }
    epochs = 5 if args.quick else 150
    figure, axes = panels(2)
    for name, layers in nets.items():
        train, test = [], []
        for seed in range(1 if args.quick else 5):
            network = fastnn.Network(
                layers, optimizer=fastnn.Adam(0.002), preprocessing="standardize", seed=seed
            )
            history = network.fit(X_train, y_train, epochs=epochs, validation_data=(X_test, y_test))
            test.append(history.history["val_loss"])
            train.append(history.history["loss"])
        train, test = np.mean(train, axis=0), np.mean(test, axis=0)
        print(
            f"dropout {name}: training loss {train[-1]:.2f} with its noise, test {test[-1]:.2f}, "
            f"least {test.min():.2f} in epoch {test.argmin() + 1}"
        )
        if figure:
            axes[0].semilogy(range(1, epochs + 1), train, label=name)
            axes[1].semilogy(range(1, epochs + 1), test)
    if figure:
        axes[0].set(xlabel="epoch", ylabel="squared error in training")
        axes[1].set(xlabel="epoch", ylabel="squared error, test rows")
        for place in axes:
            decimals(place.yaxis)
        axes[0].legend(title="dropout", fontsize=7)
    save(figure, args.directory, "dropout_before_mse")


if __name__ == "__main__":
    given = arguments(__doc__)
    expectation(given)
    before_a_squared_error(given)
