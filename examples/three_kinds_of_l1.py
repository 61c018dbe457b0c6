"""L1 in the gradient, as a constant shrink, and proximal, on a network that overfits."""

import numpy as np
from pictures import arguments, panels, save

import fastnn

STRENGTH, RATE = 0.01, 0.05
PENALTIES = {
    "none": None,
    "in the gradient": fastnn.L1(STRENGTH),
    "constant shrink": fastnn.L1(STRENGTH * RATE, "shrink"),  # per step: strength times rate
    "proximal": fastnn.L1(STRENGTH, "proximal"),
}


def make_data(n, seed):
    """Return forty inputs, of which four matter, and the target."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 40))
    y = np.sin(2 * X[:, 0]) + X[:, 1] * X[:, 2] + X[:, 3] + 0.3 * rng.normal(size=n)
    return X, y


def main():
    args = arguments(__doc__)
    epochs = 20 if args.quick else 1500
    (X, y), (X_test, y_test) = make_data(150, 1), make_data(2000, 2)
    figure, axes = panels(4, width=2.7, height=2.7, sharex=True, sharey=True)
    curves, errors_axes = panels(1, width=6)
    for number, (name, penalty) in enumerate(PENALTIES.items()):
        layers = [fastnn.Dense(64, "tanh"), fastnn.Dense(1)]
        network = fastnn.Network(
            layers, optimizer=fastnn.SGD(RATE), kernel_regularizer=penalty, metrics=["mse"]
        )
        history = network.fit(X, y, epochs=epochs, validation_data=(X_test, y_test)).history
        w = network.get_weights()[0].ravel()
        small = network.compact()
        print(
            f"{name}: train MSE {history['mse'][-1]:.3f}, test MSE {history['val_mse'][-1]:.3f}, "
            f"{(w == 0).mean():.0%} of the weights exactly 0, {(abs(w) < 1e-3).mean():.0%} below "
            f"0.001, compact(): {len(small.inputs_)} inputs, {small.layers[0].units} units"
        )
        if figure:
            seen = range(1, epochs + 1, 10)
            axes[number].hist(w, bins=np.linspace(-1, 1, 42), log=True)
            axes[number].set(title=f"{name}\nexactly 0: {(w == 0).mean():.0%}", xlabel="weight")
            # The first two curves nearly coincide: dashes keep both visible.
            style = {"color": f"C{number}", "dashes": (4, 4) if "shrink" in name else (None, None)}
            errors_axes[0].plot(seen, history["val_mse"][::10], label=f"{name}, test", **style)
            errors_axes[0].plot(seen, history["mse"][::10], color=f"C{number}", linestyle=":")
    if figure:
        axes[0].set_ylabel("weights of layer 0 (log scale)")
        errors_axes[0].set(xlabel="epoch", ylabel="MSE (dotted: training)")
        errors_axes[0].set_ylim(0, 3.5)
        errors_axes[0].legend()
    save(figure, args.directory, "l1_weights")
    save(curves, args.directory, "l1_errors")


if __name__ == "__main__":
    main()
