"""What penalties look like, what they believe, what they do to weights, and max-norm."""

import numpy as np
from pictures import arguments, panels, save

import fastnn
from fastnn import kernels


def contours(args):
    """Draw where sum |w|**q is 1, and a squared error's contour that touches it."""
    at = np.array([1.2, 0.5])  # the squared error's least point; its contours are circles
    angle = np.linspace(0, 2 * np.pi, 201)
    figure, axes = panels(5, width=2.0, height=2.1, sharex=True, sharey=True)
    for number, q in enumerate((0.5, 1, 1.5, 2, 4)):
        circle = np.stack([np.cos(angle), np.sin(angle)])
        edge = np.sign(circle) * abs(circle) ** (2 / q)
        total = np.zeros(1)
        w = np.ascontiguousarray(edge[:, 25])
        if q not in (1, 2):
            kernels.lq_value(2.0, q, w, total)
            assert abs(total[0] - 1) < 1e-12  # (2 / 2) * sum |w|**q
        distance = np.linalg.norm(edge - at[:, None], axis=0)
        touch = edge[:, distance.argmin()].round(12) + 0.0
        print(f"q = {q}: the nearest point is ({touch[0]:.2f}, {touch[1]:.2f})")
        if figure:
            axes[number].plot(*edge[:, ::2])
            axes[number].plot(*(at[:, None] + distance.min() * circle)[:, ::4], "C1", linewidth=1)
            axes[number].plot(*at, "C1x")
            axes[number].plot(*touch, "C3o", ms=4)
            axes[number].set(title=f"q = {q}", aspect="equal", xlim=(-1.3, 2.2), ylim=(-1.3, 1.7))
    save(figure, args.directory, "lq_contours")


def priors(args):
    """Draw the densities whose negative logarithms are L2 and L1, and where they pull a weight."""
    w = np.linspace(-4, 4, 81)
    densities = {
        "Gaussian: L2": np.exp(-(w**2) / 2) / np.sqrt(2 * np.pi),
        "Laplace: L1": np.exp(-abs(w)) / 2,
    }
    # The most probable weight, if its measurement z has a deviation of 1: by calculus.
    pulled = {"Gaussian: L2": w / 2, "Laplace: L1": np.sign(w) * np.maximum(abs(w) - 1, 0)}
    figure, axes = panels(3, width=2.9, height=2.6)
    for name, density in densities.items():
        at = {z: pulled[name][abs(w - z).argmin()] for z in (0.5, 3.0)}
        print(f"{name}: a measured 0.5 becomes {at[0.5]:.2f}, 3 becomes {at[3.0]:.2f}")
        if figure:
            axes[0].plot(w, density, label=name)
            axes[1].plot(w, -np.log(density))
            axes[2].plot(w, pulled[name])
    if figure:
        axes[0].set(title="prior density", xlabel="w")
        axes[1].set(title="its negative logarithm", xlabel="w")
        axes[2].set(title="most probable weight", xlabel="measured weight")
        axes[2].plot(w, w, color="0.6", linestyle=":")
        axes[0].legend(fontsize=7, loc="upper left")
        axes[0].set_ylim(0, 0.75)
    save(figure, args.directory, "priors")


def weights(args):
    """Fit forty inputs, of which four matter, under each penalty, and draw the weights."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 40))
    truth = np.zeros(40)
    truth[:4] = 2.0, -1.5, 1.0, -0.7
    y = X @ truth + 1.0 * rng.normal(size=80)
    penalties = {
        "none": None,
        "L2": fastnn.L2(1.0),
        "L1, proximal": fastnn.L1(0.5, "proximal"),
        "elastic net": fastnn.L1L2(0.4, 0.4, "proximal"),
        "Lq, q = 0.5": fastnn.Lq(0.3, 0.5),
    }
    epochs = 50 if args.quick else 2000
    figure, axes = panels(5, width=2.1, height=2.1, sharey=True)
    for number, (name, penalty) in enumerate(penalties.items()):
        layer = fastnn.Dense(1, use_bias=False, kernel_regularizer=penalty)
        network = fastnn.Network([layer], optimizer=fastnn.GD(0.02), dtype="float64")
        network.fit(X, y, epochs=epochs)
        w = network.get_weights()[0][:, 0]
        wrong = np.sqrt(((w - truth) ** 2).mean())
        print(
            f"{name}: {(w == 0).sum()} of 40 weights are 0, {(abs(w) < 0.05).sum()} below 0.05, "
            f"root mean squared error of the weights {wrong:.3f}"
        )
        if figure:
            axes[number].vlines(range(40), 0, w, linewidth=1.5)
            axes[number].plot(range(4), truth[:4], "C1_", ms=7)
            axes[number].set(title=f"{name}\n{(w == 0).sum()} exactly 0", xlabel="input")
    if figure:
        axes[0].set_ylabel("weight (bars: truth)")
    save(figure, args.directory, "penalized_weights")


def max_norm(args):
    """Train at rates that are too high, with weights' norms bounded and unbounded."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 10))
    y = np.tanh(X[:, :1]) + X[:, 1:2] * X[:, 2:3]
    ways = {
        "free": (None, True, "-"),
        "max-norm": (fastnn.MaxNorm(3), True, "--"),
        "max-norm, no biases": (fastnn.MaxNorm(3), False, ":"),
        "max-norm with biases": (fastnn.MaxNorm(3, include_bias=True), True, "-."),
    }
    figure, axes = panels(2, width=4.2)
    for name, (held, biased, style) in ways.items():
        for color, rate in enumerate((0.02, 10.0)):
            layers = [
                fastnn.Dense(units, activation, use_bias=biased, kernel_constraint=held)
                for units, activation in ((30, "relu"), (30, "relu"), (1, None))
            ]
            network = fastnn.Network(layers, optimizer=fastnn.GD(rate), dtype="float64")
            network.build(10)
            losses, norms = [network.evaluate(X, y)], []
            for _ in range(15):
                try:
                    network.fit(X, y)
                except FloatingPointError:
                    break
                losses.append(network.evaluate(X, y))
                if not losses[-1] < 1e100:
                    break
                kernels_now = (w for w in network.get_weights() if w.ndim == 2)
                norms.append(max(np.linalg.norm(w, axis=0).max() for w in kernels_now))
            print(
                f"{name}, rate {rate:g}: loss {losses[-1]:.2g} after {len(losses) - 1} updates, "
                f"largest norm {norms[-1]:.2g}"
            )
            if figure:
                label = f"{name}, rate {rate:g}"
                axes[0].semilogy(losses, style, color=f"C{color}", label=label)
                axes[1].semilogy(range(1, len(norms) + 1), norms, style, color=f"C{color}")
    if figure:
        axes[0].set(xlabel="update", ylabel="mean squared error", ylim=(1e-2, 1e20))
        axes[1].set(xlabel="update", ylabel="largest norm of a unit's weights", ylim=(0.5, 1e10))
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right", fontsize=7)
    save(figure, args.directory, "max_norm")


if __name__ == "__main__":
    given = arguments(__doc__)
    contours(given)
    priors(given)
    weights(given)
    max_norm(given)
