"""Each activation with its slope, and what a start does: saturation, variance, normalization."""

import numpy as np
from pictures import arguments, panels, save

import fastnn
from fastnn import activations, kernels
from fastnn.datasets import load_digits

NAMES = ("linear sigmoid tanh relu leaky_relu elu selu gelu softplus silu mish exponential").split()


def shape(name, x):
    """Return the outputs and the slopes of an activation at the points x."""
    kind = activations.get(name)
    out, dx = np.empty_like(x), np.empty_like(x)
    # Those made of two straight lines share a kernel, whose argument is the slope below 0.
    kernel, given = ("relu", (kind.slope,)) if kind.slope is not None else (name, kind.arguments)
    getattr(kernels, f"{kernel}_forward")(x, *given, out)
    getattr(kernels, f"{kernel}_backward")(x, out, *given, np.ones_like(x), dx)
    return out, dx


def slopes(args):
    x = np.linspace(-4, 4, 41)[None]
    figure, axes = panels(6, 2, width=1.75, height=1.6, sharex=True)
    for number, name in enumerate(NAMES):
        out, slope = shape(name, x)
        print(f"{name}: from {out.min():.2f} to {out.max():.2f}, ", end="")
        print(f"slope from {slope.min():.2f} to {slope.max():.2f}")
        if figure:
            axes[number].plot(x[0], out[0], label="value")
            axes[number].plot(x[0], slope[0], label="slope", linestyle="--")
            axes[number].set(title=name, ylim=(-2, 4))
    if figure:
        axes[0].legend(fontsize=7)
    save(figure, args.directory, "activations")


def saturation(args):
    """Show what ten digits' units put out before the first update, by start and scale."""
    X = load_digits().X
    cases = {
        "pixels 0 to 16, deviation 0.5": (X, 0.5),
        "pixels 0 to 1, deviation 0.5": (X / 16, 0.5),
        "pixels 0 to 1, Glorot": (X / 16, None),
    }
    figure, axes = panels(3, width=2.9, height=2.3, sharey=True)
    for number, (name, (rows, deviation)) in enumerate(cases.items()):
        start = fastnn.initializers.Normal(deviation) if deviation else "glorot_uniform"
        layers = [fastnn.Dense(100, "tanh", kernel_initializer=start), fastnn.Dense(10)]
        network = fastnn.Network(layers)
        share = fastnn.check_units(network, rows)[0].saturated
        print(f"{name}: {share:.0%} of the outputs saturated before the first update")
        if figure:
            network.build(64)
            outputs = network.layer_outputs(rows)[0].ravel()
            counts, edges = np.histogram(outputs, bins=40, range=(-1, 1))
            axes[number].stairs(counts / len(outputs), edges, fill=True)
            axes[number].set(
                title=f"{name}\nsaturated: {share:.0%}", xlabel="output of a tanh unit"
            )
    if figure:
        axes[0].set_ylabel("share")
    save(figure, args.directory, "saturation")


def variances(args):
    """Follow the variance of a layer's sums and of their gradients through twenty layers."""
    depth, n = 4 if args.quick else 20, 128
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, n))
    starts = {
        "1 / n, linear": ("linear", "lecun_normal"),
        "1 / n, ReLU": ("relu", "lecun_normal"),
        "2 / n, ReLU (He)": ("relu", "he_normal"),
        "ten inputs each, linear": ("linear", "sparse"),
        "0.01 squared, ReLU": ("relu", fastnn.initializers.Normal(0.01)),
    }
    figure, axes = panels(2)
    for name, (activation, start) in starts.items():
        kind, drawn = fastnn.initializers.get(start), np.random.default_rng(1)
        weights = [kind((n, n), drawn, np.float64) for _ in range(depth)]
        h, forward, sums = X, [], []
        for W in weights:
            sums.append(h @ W)
            forward.append(sums[-1].var())
            h = shape(activation, sums[-1])[0]
        d, backward = rng.normal(size=h.shape), []
        for a, W in zip(sums[::-1], weights[::-1], strict=True):
            d = (d * shape(activation, a)[1]) @ W.T
            backward.insert(0, d.var())
        print(f"{name}: variance of sums {forward[0]:.2g} -> {forward[-1]:.2g}, ", end="")
        print(f"of gradients {backward[-1]:.2g} -> {backward[0]:.2g}")
        if figure:
            axes[0].semilogy(range(1, depth + 1), forward, label=name)
            axes[1].semilogy(range(1, depth + 1), backward)
    if figure:
        axes[0].set(
            title="forward", xlabel="layer", ylabel="variance of the sums", ylim=(1e-9, 1e2)
        )
        axes[1].set(
            title="backward", xlabel="layer", ylabel="variance of the gradients", ylim=(1e-9, 1e2)
        )
        axes[0].legend(fontsize=7)
    save(figure, args.directory, "variance_by_depth")


def normalization(args):
    """Train five tanh layers from three starts, with batch normalization and without."""
    digits = load_digits()
    X, y = digits.X[:500] / 16, digits.y[:500]
    epochs = 3 if args.quick else 25
    figure, axes = panels(2, sharey=True)
    for number, normalized in enumerate((False, True)):
        title = "with batch normalization" if normalized else "without"
        for deviation in (0.01, 0.15, 1.0):
            start = fastnn.initializers.Normal(deviation)
            layers = []
            for _ in range(5):
                layers.append(fastnn.Dense(64, kernel_initializer=start))
                layers += [fastnn.BatchNormalization(momentum=0.9)] * normalized
                layers.append(fastnn.Activation("tanh"))
            network = fastnn.Network(
                [*layers, fastnn.Dense(10, "softmax")],
                loss="softmax_cross_entropy",
                optimizer=fastnn.SGD(0.05),
            )
            losses = network.fit(X, y, epochs=epochs, batch_size=50).history["loss"]
            print(f"{title}, deviation {deviation}: loss {losses[-1]:.2f} after {epochs} epochs")
            if figure:
                axes[number].semilogy(range(1, epochs + 1), losses, label=f"deviation {deviation}")
        if figure:
            axes[number].set(title=title, xlabel="epoch")
    if figure:
        axes[0].set_ylabel("cross-entropy, training")
        axes[1].legend()
    save(figure, args.directory, "batch_normalization")


if __name__ == "__main__":
    given = arguments(__doc__)
    slopes(given)
    saturation(given)
    variances(given)
    normalization(given)
