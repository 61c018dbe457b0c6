"""L1 in the gradient, as a constant shrink, and proximal, beside L2 and L1 of groups of weights."""

import numpy as np
from pictures import arguments, decimals, panels, save

import fastnn

ROWS, INPUTS, STRENGTH, RATE = 400, 40, 0.06, 0.1
BETWEEN = 25
"""Epochs between two looks at the errors."""
PENALTIES = {
    "none": None,
    "L1 in the gradient": fastnn.L1(STRENGTH),
    "L1, constant shrink": fastnn.L1(STRENGTH * RATE, "shrink"),  # per step: strength times rate
    "L1, proximal": fastnn.L1(STRENGTH, "proximal"),
    "L1 of inputs": fastnn.GroupL1(STRENGTH, per="input"),
    "L2": fastnn.L2(STRENGTH),
}


def make_data(n, seed):
    """Return forty inputs, of which the first four matter, and the target."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, INPUTS))
    y = np.sin(2 * X[:, 0]) + X[:, 1] * (1 + np.tanh(X[:, 2])) + 1.5 * np.tanh(X[:, 3])
    return X, y + 0.3 * rng.normal(size=n)


def main():
    args = arguments(__doc__)
    looks = 2 if args.quick else 80
    (X, y), (X_test, y_test) = make_data(ROWS, 1), make_data(1000, 2)
    weights, errors = {}, {}
    for name, penalty in PENALTIES.items():
        layers = [fastnn.Dense(64, "tanh"), fastnn.Dense(1)]
        # All rows in each batch: otherwise noise keeps moving weights that are 0.
        network = fastnn.Network(layers, optimizer=fastnn.GD(RATE), kernel_regularizer=penalty)
        errors[name] = [], []
        for _ in range(looks):
            network.fit(X, y, epochs=BETWEEN)
            for part, (rows, targets) in zip(errors[name], [(X, y), (X_test, y_test)], strict=True):
                part.append(((network.predict(rows)[:, 0] - targets) ** 2).mean())
        train, test = (part[-1] for part in errors[name])
        w = weights[name] = network.get_weights()[0]
        small = network.compact()
        print(
            f"{name}: train MSE {train:.2f}, test MSE {test:.2f}, "
            f"{(w == 0).mean():.0%} of the weights exactly 0, {(abs(w) < 1e-2).mean():.0%} below "
            f"0.01, largest {abs(w).max():.1f}; compact() keeps {len(small.inputs_)} inputs "
            f"({sum(i < 4 for i in small.inputs_)} of the four), {small.layers[0].units} units"
        )
    draw_weights(args, weights)
    draw_inputs(args, weights)
    draw_errors(args, errors)


def draw_weights(args, weights):
    figure, axes = panels(3, 2, width=2.9, height=2.3, sharex=True, sharey=True)
    if figure:
        most = max(abs(w).max() for w in weights.values())
        for place, (name, w) in zip(axes, weights.items(), strict=True):
            counts, edges = np.histogram(w, bins=np.linspace(-most, most, 60))
            place.stairs(counts, edges, fill=True)
            place.set(title=f"{name}\nexactly 0: {(w == 0).mean():.0%}", yscale="log")
        for place in axes[3:]:
            place.set_xlabel("weight of layer 0")
    save(figure, args.directory, "l1_weights")


def draw_inputs(args, weights):
    names = ("none", "L1, proximal", "L1 of inputs", "L2")
    figure, axes = panels(4, width=2.4, height=2.3, sharey=True)
    if figure:
        for place, name in zip(axes, names, strict=True):
            norms = np.linalg.norm(weights[name], axis=1)
            place.bar(range(4), norms[:4], color="C1")
            place.bar(range(4, INPUTS), norms[4:], color="C0")
            place.set(title=f"{name}\n{(norms == 0).sum()} inputs exactly 0", xlabel="input")
        axes[0].set_ylabel("norm of its weights")
    save(figure, args.directory, "l1_inputs")


def draw_errors(args, errors):
    figure, axes = panels(2)
    if figure:
        for number, (name, curves) in enumerate(errors.items()):
            # The first two forms of L1 nearly coincide: dashes keep both visible.
            dashes = (4, 4) if "shrink" in name else (None, None)
            for place, values in zip(axes, curves, strict=True):
                seen = range(BETWEEN, BETWEEN * len(values) + 1, BETWEEN)
                place.semilogy(seen, values, color=f"C{number}", dashes=dashes, label=name)
        axes[0].set(title="training rows", xlabel="epoch", ylabel="MSE")
        axes[1].set(title="test rows", xlabel="epoch")
        decimals(axes[1].yaxis)
        axes[1].legend(fontsize=7)
    save(figure, args.directory, "l1_errors")


if __name__ == "__main__":
    main()
