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


def draw_sweep(found):
    """Return a figure with the loss of each run in its cell, and a color for its order."""
    sizes, scales, rates = (
        sorted({getattr(run, name) for run in found.runs})
        for name in ("batch_size", "init_scale", "learning_rate")
    )
    figure, axes = panels(len(sizes), width=3.1, height=2.6, sharey=True)
    if figure:
        finite = [run.loss for run in found.runs if np.isfinite(run.loss)]
        order = {loss: place for place, loss in enumerate(sorted(finite))}
        for place, size in zip(axes, sizes, strict=True):
            table = np.full((len(scales), len(rates)), float(len(order)))
            for run in found.runs:
                if run.batch_size == size:
                    cell = scales.index(run.init_scale), rates.index(run.learning_rate)
                    table[cell] = order.get(run.loss, len(order))
                    dark = table[cell] < len(order) / 2
                    text = f"{run.loss:.2f}" if np.isfinite(run.loss) else "inf"
                    place.text(
                        *cell[::-1], text, ha="center", va="center", fontsize=7,
                        color="w" if dark else "k",
                    )  # fmt: skip
            place.imshow(table, origin="lower", aspect="auto", vmin=0, vmax=len(order))
            place.grid(False)
            place.set_xticks(range(len(rates)), [f"{rate:g}" for rate in rates])
            place.set_yticks(range(len(scales)), [f"{scale:g}" for scale in scales])
            place.set(title=f"batches of {size}", xlabel="learning rate")
        axes[0].set_ylabel("deviation of the start")
    return figure


def build(rate=0.01, start="normal", preprocessing=None, loss="mae"):
    layers = [fastnn.Dense(64, "relu", kernel_initializer=start), fastnn.Dense(1)]
    settings = {"loss": loss, "metrics": ["mae"], "preprocessing": preprocessing}
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
    still = [r.loss for r in found.runs if r.learning_rate <= 1e-4 and r.init_scale <= 1e-3]
    print(f"rates up to 0.0001 and starts up to 0.001: losses {min(still):.2f} to {max(still):.2f}")
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
        "the same, under the squared error": (
            build(preprocessing="standardize", loss="mse"),
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
        save(draw_sweep(found), args.directory, "relu_mae_sweep")


if __name__ == "__main__":
    main()
