"""Losses side by side: on the same scores, on ratings, with outliers, and under optimizers."""

import numpy as np
from pictures import arguments, decimals, panels, save
from relu_mae_regression import make_data

import fastnn
from fastnn import kernels


def same_scores(args):
    """Draw each loss and its gradient as the right class's score passes the other's."""
    right = np.linspace(-3, 3, 61)
    scores = np.stack([right, np.zeros_like(right)], axis=1)
    labels, value, d = np.zeros(61, np.int64), np.empty(61), np.empty_like(scores)
    ways = {
        "hinge": ("multiclass_hinge", 1.0),
        "squared hinge": ("multiclass_squared_hinge", 1.0),
        "softmax": ("softmax_cross_entropy", 0.0),
    }
    figure, axes = panels(2)
    for name, (kernel, setting) in ways.items():
        getattr(kernels, f"{kernel}_forward")(scores, labels, setting, value)
        getattr(kernels, f"{kernel}_backward")(scores, labels, setting, np.ones(61), d)
        told = ", ".join(f"{value[abs(right - at).argmin()]:.2f}" for at in (-2, 0, 2))
        print(f"{name}: {told} where the right score leads by -2, 0, 2")
        if figure:
            axes[0].plot(right, value, label=name)
            axes[1].plot(right, d[:, 0])
    if figure:
        axes[0].set(xlabel="right score minus the other", ylabel="loss", ylim=(0, 8))
        axes[1].set(xlabel="right score minus the other", ylabel="gradient in the right score")
        axes[0].legend()
    save(figure, args.directory, "same_scores")


def ratings(args):
    """Predict one to five stars as a number and as five classes."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3000, 4))
    # Some like it and some do not, the more of them the larger the first input.
    split = 1 / (1 + np.exp(-2 * X[:, 0]))
    middle = np.clip(np.round(3 + X[:, 1]), 1, 5)
    extreme = np.where(rng.random(3000) < 0.6, 5, 1)
    stars = np.where(rng.random(3000) < split, extreme, middle).astype(int)
    train, test = slice(0, 2000), slice(2000, None)
    epochs = 3 if args.quick else 40
    predicted = {}
    for name, units, last, loss in (
        ("a number, squared error", 1, None, "mse"),
        ("five classes", 5, "softmax", "softmax_cross_entropy"),
    ):
        network = fastnn.Network(
            [fastnn.Dense(32, "relu"), fastnn.Dense(units, last)],
            loss=loss,
            optimizer=fastnn.Adam(0.005),
        )
        y = stars - 1 if units == 5 else stars
        network.fit(X[train], y[train], epochs=epochs)
        predicted[name] = network.predict(X)
        found = predicted[name][test]
        answers = found.argmax(1) + 1 if units == 5 else np.clip(np.round(found[:, 0]), 1, 5)
        mean = found @ np.arange(1, 6) if units == 5 else found[:, 0]
        print(
            f"{name}: {(answers == stars[test]).mean():.0%} of the stars right, root mean squared "
            f"error {np.sqrt(((mean - stars[test]) ** 2).mean()):.2f}"
        )
    row = 2000 + X[test, 0].argmax()
    number, classes = (each[row] for each in predicted.values())
    told = " ".join(f"{p:.2f}" for p in classes)
    print(f"a disputed product: as a number {number[0]:.1f}, as classes {told}")
    figure, axes = panels(2)
    if figure:
        alike = np.argsort(-X[:, 0])[:200]
        share = np.bincount(stars[alike], minlength=6)[1:] / 200
        axes[0].bar(np.arange(1, 6) - 0.2, classes, 0.4, label="five classes")
        axes[0].bar(np.arange(1, 6) + 0.2, share, 0.4, color="0.7", label="the 200 most alike")
        axes[0].axvline(number[0], color="C1", label="a number")
        axes[0].set(title="a disputed product", xlabel="stars", ylabel="share")
        axes[0].legend(fontsize=7)
        axes[1].hist(predicted["a number, squared error"][test, 0], bins=40, color="C1")
        axes[1].set(title="numbers predicted", xlabel="stars", ylabel="rows")
    save(figure, args.directory, "star_rating")


def outliers(args):
    """Fit a line to thirty points, three of them wrong, under three losses."""
    rng = np.random.default_rng(0)
    x = np.linspace(0, 1, 30)[:, None]
    y = 1 + 2 * x + 0.1 * rng.normal(size=(30, 1))
    y[[25, 27, 29]] -= 6
    figure, axes = panels(2)
    errors = np.linspace(-6, 6, 49)[:, None]
    for name, loss in (("squared", "mse"), ("absolute", "mae"), ("Huber, delta 0.2", "huber")):
        given = fastnn.losses.Huber(0.2) if loss == "huber" else loss
        network = fastnn.Network(
            [fastnn.Dense(1)],
            loss=given,
            optimizer=fastnn.GD(fastnn.InverseTimeDecay(0.1, 100, 1)),
            dtype="float64",
        )
        network.fit(x, y, epochs=50 if args.quick else 5000)
        slope, base = (w.item() for w in network.get_weights())
        print(f"{name} error: {base:.2f} + {slope:.2f} x, where the truth is 1 + 2 x")
        d = np.empty_like(errors)
        settings = network.loss.arguments(1, np.float64)
        getattr(kernels, network.loss.backward)(
            errors, np.zeros_like(errors), *settings, np.ones(49), d
        )
        if figure:
            axes[0].plot(x, base + slope * x, label=name)
            axes[1].plot(errors, d)
    if figure:
        axes[0].plot(x, y, "k.", ms=4)
        axes[0].set(xlabel="x", ylabel="y")
        axes[0].legend(fontsize=7)
        axes[1].set(xlabel="error of a row", ylabel="its pull: the gradient")
    save(figure, args.directory, "outliers")


def optimizers(args):
    """Train the ReLU network under the absolute error with each optimizer that the text names."""
    X, y = make_data()
    X_train, X_test, y_train, y_test = X[:2000], X[2000:], y[:2000], y[2000:]
    unit = y_train.std()
    scaled = [(part - y_train.mean()) / unit for part in (y_train, y_test)]
    ways = {
        "SGD": fastnn.SGD(0.02),
        "RMSprop": fastnn.RMSprop(0.001),
        "Adadelta": fastnn.Adadelta(1.0),
        "Rprop (all rows)": fastnn.Rprop(),
        "L-BFGS (all rows)": fastnn.LBFGS(),
        "Adam": fastnn.Adam(0.001),
    }
    epochs = 3 if args.quick else 60
    figure, axes = panels(1, width=6.4, height=3.4)
    for name, optimizer in ways.items():
        network = fastnn.Network(
            [fastnn.Dense(64, "relu"), fastnn.Dense(1)],
            loss="mae",
            optimizer=optimizer,
            preprocessing="standardize",
        )
        history = network.fit(
            X_train, scaled[0], epochs=epochs, validation_data=(X_test, scaled[1])
        ).history
        errors = unit * np.array(history["val_loss"])
        print(
            f"{name}: test MAE {errors[-1]:.1f} after {len(errors)} epochs, "
            f"least {errors.min():.1f}"
        )
        if figure:
            axes[0].semilogy(range(1, len(errors) + 1), errors, label=name)
    if figure:
        axes[0].set(xlabel="epoch", ylabel="mean absolute error, test rows")
        decimals(axes[0].yaxis)
        axes[0].legend()
    save(figure, args.directory, "optimizers")


if __name__ == "__main__":
    given = arguments(__doc__)
    same_scores(given)
    ratings(given)
    outliers(given)
    optimizers(given)
