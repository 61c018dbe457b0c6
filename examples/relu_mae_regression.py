"""Why a ReLU layer on 200 inputs does not learn under mean absolute error, and what helps."""

import numpy as np
from pictures import arguments, decimals, panels, save

import fastnn


def make_data(n=2400, seed=0):
    """Return inputs of very different scales, and a target around 660 that depends on ten."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, 200))
    y = 500 + 40 * (np.abs(z[:, :5]).sum(1) + z[:, 5:10].sum(1)) + rng.normal(size=n)
    return z * 10 ** rng.uniform(-1, 1, size=200), y


def build(rate=0.01, start="normal", preprocessing=None):
    layers = [fastnn.Dense(64, "relu", kernel_initializer=start), fastnn.Dense(1)]
    settings = {"loss": "mae", "metrics": ["mae"], "preprocessing": preprocessing}
    return fastnn.Network(layers, optimizer=fastnn.SGD(rate), **settings)


def main():
    args = arguments(__doc__)
    epochs = 4 if args.quick else 60
    X, y = make_data()
    X_train, X_test, y_train, y_test = X[:2000], X[2000:], y[:2000], y[2000:]
    unit = y_train.std()
    scaled = [(part - y_train.mean()) / unit for part in (y_train, y_test)]

    print(fastnn.diagnose(build(), X_train, y_train, epochs=2 if args.quick else None))
    z_train = fastnn.preprocessing.Standardize().fit(X_train).transform(X_train)
    found = fastnn.sweep(
        build(),
        z_train,
        scaled[0],
        learning_rates=[1e-5, 1e-4, 1e-3, 1e-2, 1e-1],
        epochs=1 if args.quick else 8,
    )
    print(found)
    best = found.best
    start = fastnn.initializers.Normal(best.init_scale)
    decayed = fastnn.InverseTimeDecay(best.learning_rate, 1, 1 / 1000)
    runs = {
        "as it is": (build(), y_train, y_test, 1.0, 32),
        "inputs and target scaled": (
            build(preprocessing="standardize"),
            *scaled,
            unit,
            32,
        ),
        "and the sweep's best start, rate, batch": (
            build(best.learning_rate, start, "standardize"),
            *scaled,
            unit,
            best.batch_size,
        ),
        "and a falling rate": (
            build(decayed, start, "standardize"),
            *scaled,
            unit,
            best.batch_size,
        ),
    }
    figure, axes = panels(1, width=6.4, height=3.6)
    median = np.abs(y_test - np.median(y_train)).mean()
    for name, (network, t_train, t_test, factor, size) in runs.items():
        history = network.fit(
            X_train, t_train, epochs=epochs, batch_size=size, validation_data=(X_test, t_test)
        )
        errors = factor * np.array(history.history["val_mae"])
        print(f"test MAE, {name}: {errors[-1]:.1f} (the median's: {median:.1f})")
        if figure:
            axes[0].semilogy(range(1, epochs + 1), errors, label=name)
    if figure:
        axes[0].axhline(median, color="0.4", linestyle=":", label="the training median")
        axes[0].set(xlabel="epoch", ylabel="mean absolute error, test rows")
        decimals(axes[0].yaxis)
        axes[0].legend()
        save(figure, args.directory, "relu_mae_regression")
        save(found.plot(), args.directory, "relu_mae_sweep")


if __name__ == "__main__":
    main()
