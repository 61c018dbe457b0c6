"""Dropout and DropConnect: the mean over masks, before a squared error, and Monte Carlo dropout."""

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


def with_the_noise_left_on(args):
    """Predict a curve whose middle has no data, with many masks: the mean and its spread."""
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.uniform(-3, -1, 60), rng.uniform(1, 3, 60)])[:, None]
    y = np.sin(2 * x) + x / 2 + 0.1 * rng.normal(size=x.shape)
    line = np.linspace(-5, 5, 201)[:, None]
    figure, axes = panels(2, sharey=True)
    for number, activation in enumerate(("relu", "tanh")):
        D, drop = fastnn.Dense, fastnn.Dropout(0.1)
        layers = [D(64, activation), drop, D(64, activation), drop, D(1)]
        network = fastnn.Network(layers, optimizer=fastnn.Adam(0.003))
        network.fit(x, y, epochs=20 if args.quick else 2000, batch_size=120)
        mean, spread = (out[:, 0] for out in network.predict_mc(line, passes=1000))
        once = network.predict(line)[:, 0]
        away = abs(line[:, 0])
        parts = {
            "among the data": (away > 1) & (away < 3),
            "in the gap": away < 1,
            "outside": away > 3,
        }
        off = abs(mean - (np.sin(2 * line) + line / 2)[:, 0]) > 2 * spread
        told = ", ".join(f"{spread[part].mean():.2f} {name}" for name, part in parts.items())
        print(
            f"Monte Carlo dropout, {activation}: spread {told}; "
            f"mean of passes and one pass without noise {abs(mean - once).mean():.2f} apart; "
            f"the truth outside two deviations at {off[parts['in the gap']].mean():.0%} of the gap"
        )
        if figure:
            place, around = axes[number], (mean - 2 * spread, mean + 2 * spread)
            place.fill_between(line[:, 0], *around, alpha=0.25, label="two deviations", linewidth=0)
            place.plot(line, mean, linewidth=3, label="mean of 1,000 masks")
            place.plot(line, once, "C1--", linewidth=1.2, label="predict")
            place.plot(line, np.sin(2 * line) + line / 2, color="0.6", linestyle=":", label="truth")
            place.plot(x, y, "k.", ms=2)
            place.set(title=activation, xlabel="x", ylim=(-6, 6))
    if figure:
        axes[0].set_ylabel("prediction")
        axes[0].legend(fontsize=7)
    save(figure, args.directory, "monte_carlo_dropout")


if __name__ == "__main__":
    given = arguments(__doc__)
    expectation(given)
    before_a_squared_error(given)
    with_the_noise_left_on(given)
