"""What preprocessing does to data, the start to deep networks, and dropout to learning."""

import numpy as np
from pictures import arguments, decimals, panels, save

import fastnn
from fastnn.datasets import load_digits
from fastnn.preprocessing import PCA, Center, Standardize, Whiten


def preprocessing(args):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 2)) @ np.array([[3.0, 1.2], [0.0, 0.6]]) + [4.0, 2.0]
    steps = {
        "centered": Center(),
        "normalized": Standardize(),
        "decorrelated": PCA(),
        "whitened": Whiten(),
    }
    clouds = {"original": X} | {name: t.fit(X).transform(X) for name, t in steps.items()}
    figure, axes = panels(5, width=2.1, height=1.8, sharex=True, sharey=True)
    for number, (name, cloud) in enumerate(clouds.items()):
        correlation = np.corrcoef(cloud.T)[0, 1]
        sd = cloud.std(0)
        print(f"{name}: deviations {sd[0]:.2f}, {sd[1]:.2f}, correlation {correlation:+.2f}")
        if figure:
            axes[number].scatter(*cloud.T, s=4, alpha=0.6, linewidths=0)
            axes[number].axhline(0, color="0.3", linewidth=0.6)
            axes[number].axvline(0, color="0.3", linewidth=0.6)
            axes[number].set(title=name, xlabel="first column", aspect="equal")
    if figure:
        axes[0].set_ylabel("second column")
    save(figure, args.directory, "preprocessing")


def spread(activation, start, depth):
    """Return the standard deviation of every layer's outputs, from the first to the last."""
    X = np.random.default_rng(0).normal(size=(200, 256))
    layers = [fastnn.Dense(256, activation, kernel_initializer=start) for _ in range(depth)]
    found = []
    for last in range(1, depth + 1):
        network = fastnn.Network(layers[:last])  # the same seed gives the same weights
        network.build(256)
        found.append(float(network.predict(X).std()))
    return found


def starts(args):
    normal = fastnn.initializers.Normal
    table = {
        "tanh": {"sd 0.01": normal(0.01), "sd 1": normal(1.0), "Glorot": "glorot_normal"},
        "relu": {"sd 0.01": normal(0.01), "Glorot": "glorot_normal", "He": "he_normal"},
    }
    depth = 3 if args.quick else 10
    figure, axes = panels(2)
    for number, (activation, rows) in enumerate(table.items()):
        for name, start in rows.items():
            values = spread(activation, start, depth)
            print(f"{activation}, {name}: deviation {values[0]:.2g} -> {values[-1]:.2g}")
            if figure:
                axes[number].semilogy(range(1, depth + 1), values, marker="o", ms=3, label=name)
        if figure:
            axes[number].set(title=activation, xlabel="layer", ylabel="deviation of its outputs")
            axes[number].legend()
    save(figure, args.directory, "init_by_depth")


def dropout(args):
    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.y))
    X, y = digits.X[order] / 16, digits.y[order]
    D, drop = fastnn.Dense, fastnn.Dropout
    held = {"kernel_constraint": fastnn.MaxNorm(1.5)}  # the usual 3 or 4 would never bind here
    nets = {
        "plain": [D(256, "relu"), D(256, "relu")],
        "dropout": [drop(0.2), D(256, "relu"), drop(0.5), D(256, "relu"), drop(0.5)],
        "dropout and max-norm": [
            drop(0.2),
            D(256, "relu", **held),
            drop(0.5),
            D(256, "relu", **held),
            drop(0.5),
        ],
    }
    epochs = 3 if args.quick else 150
    figure, axes = panels(2)
    for name, layers in nets.items():
        network = fastnn.Network(
            [*layers, D(10, "softmax")],
            loss="softmax_cross_entropy",
            optimizer=fastnn.SGD(0.02, momentum=0.9),
            metrics=["accuracy", "log_loss"],
        )
        history = network.fit(
            X[:300], y[:300], epochs=epochs, validation_data=(X[300:], y[300:])
        ).history
        errors = 100 * (1 - np.array(history["val_accuracy"]))
        print(
            f"{name}: test error {errors[-10:].mean():.1f} %, log-loss "
            f"{np.mean(history['val_log_loss'][-10:]):.2f} (means of the last 10 epochs)"
        )
        if figure:
            line = axes[0].plot(range(1, epochs + 1), errors, label=name)[0]
            axes[1].semilogy(range(1, epochs + 1), history["val_log_loss"], color=line.get_color())
    if figure:
        axes[0].set(xlabel="epoch", ylabel="test error (%)", ylim=(0, 20))
        axes[1].set(xlabel="epoch", ylabel="log-loss, test rows")
        decimals(axes[1].yaxis)
        axes[0].legend()
    save(figure, args.directory, "dropout")


if __name__ == "__main__":
    given = arguments(__doc__)
    preprocessing(given)
    starts(given)
    dropout(given)
