"""Backprop box by box, a gradient check that finds a planted error, and small sets by heart.

A network of two inputs, three tanh units and three classes is a chain of boxes of `fastnn.flow`.
Each box computes its value from its child's (fprop) and the loss's gradient in its child from that
in itself (bprop), both with the kernels that train.
"""

import math

import numba
import numpy as np
from pictures import arguments, panels, save

import fastnn
from fastnn import flow


@numba.njit
def tanh(a):
    return math.tanh(a)


@numba.njit
def slope_of_softplus(a, y):
    return 1 / (1 + math.exp(-a))


PLANTED = fastnn.activations.Custom(tanh, slope_of_softplus, "planted")


def start(units):
    """Return the weights to start from: W1, b1, W2, b2."""
    rng = np.random.default_rng(0)
    W1, W2 = rng.normal(size=(2, units)), rng.normal(size=(units, 3))
    return [W1, np.zeros(units), W2, np.zeros(3)]


def boxes(activation):
    """Return the chain, with three hidden units."""
    weights = start(3)
    return [
        flow.LayerBox(fastnn.Dense(3), weights[:2]),
        flow.ActivationBox(activation),
        flow.LayerBox(fastnn.Dense(3), weights[2:]),
        flow.ActivationBox("softmax"),
        flow.LossBox("probability_cross_entropy"),
    ]


def fprop(chain, x, labels):
    """Return the values of all boxes, the loss last."""
    values = [x]
    for box in chain[:-1]:
        values.append(box.fprop(values[-1]))
    return [*values, chain[-1].fprop(values[-1], labels)]


def bprop(chain):
    """Return the loss's gradient in each box's child, the first box's first."""
    gradients = [chain[-1].bprop()]
    for box in chain[-2::-1]:
        gradients.insert(0, box.bprop(gradients[0]))
    return gradients


def graph(args):
    """Draw the chain for one row, with what each box computes in both directions."""
    chain = boxes("tanh")
    values = fprop(chain, np.array([[0.5, -1.0]]), [2])
    gradients = bprop(chain)
    f = values[4]
    print(f"loss {values[-1]:.3f}; softmax and loss together: gradient f - e(y), ", end="")
    print(f"apart by {abs(gradients[3] - (f - np.eye(3)[2])).max():.0e}")
    names = ["x", "a1 = x W1 + b1", "h = tanh(a1)", "a2 = h W2 + b2", "f = softmax(a2)", "-log f_y"]
    figure, axes = panels(1, width=11, height=2.2)
    if figure:
        place = axes[0]
        place.set(xlim=(-0.55, 5.55), ylim=(-1.1, 1.1))
        place.set_axis_off()
        for number, name in enumerate(names):
            told = np.atleast_1d(np.squeeze(values[number]))
            text = f"{name}\n" + "  ".join(f"{v:.2f}" for v in told)
            place.text(number, 0, text, ha="center", va="center", fontsize=7.5, bbox={"fc": "w"})
        for number, gradient in enumerate(gradients):
            text = "  ".join(f"{v:+.2f}" for v in gradient[0])
            back = {"arrowstyle": "->", "color": "C3", "connectionstyle": "arc3,rad=-0.35"}
            on = {"arrowstyle": "->", "color": "C0", "connectionstyle": "arc3,rad=-0.35"}
            place.annotate("", (number + 0.9, 0.3), (number + 0.1, 0.3), arrowprops=on)
            place.annotate("", (number + 0.1, -0.3), (number + 0.9, -0.3), arrowprops=back)
            place.text(number + 0.5, -0.72, text, ha="center", va="top", fontsize=7, color="C3")
            place.text(number + 0.5, 0.6, "fprop", ha="center", fontsize=7, color="C0")
        place.text(-0.5, -0.75, "bprop", fontsize=7, color="C3")
    save(figure, args.directory, "flow_graph")


def errors(chain, x, labels, width=1e-5):
    """Return the relative error of each parameter's gradient against central differences."""
    fprop(chain, x, labels)
    bprop(chain)
    found = {}
    for layer, names in ((chain[0], ("W1", "b1")), (chain[2], ("W2", "b2"))):
        for number, name in enumerate(names):
            found[name] = []
            weights, slopes = layer.weights, layer.gradients[number].ravel()
            for place, slope in enumerate(slopes):
                losses = []
                for moved in (width, -width):
                    layer.weights = [w.copy() for w in weights]
                    layer.weights[number].flat[place] += moved
                    losses.append(fprop(chain, x, labels)[-1])
                layer.weights = weights
                wanted = (losses[0] - losses[1]) / (2 * width)
                size = max(abs(wanted), abs(slope), 1e-8)
                found[name].append(abs(wanted - slope) / size)
    return found


def check(args, x, labels):
    """Check right gradients, and those with the slope of softplus for tanh."""
    figure, axes = panels(1, width=5.2)
    cases = {"right": "tanh", "softplus's slope for tanh's": PLANTED}
    for number, (name, activation) in enumerate(cases.items()):
        found = errors(boxes(activation), x, labels)
        worst = {each: max(values) for each, values in found.items()}
        right = [each for each in worst if worst[each] < 1e-5]
        print(f"gradient check, {name}: right are {', '.join(right)}; ", end="")
        print(f"worst of W1 about 1e{round(np.log10(worst['W1']))}")
        if figure:
            for at, values in enumerate(found.values()):
                places = at + 0.3 * (number - 0.5) + np.linspace(-0.1, 0.1, len(values))
                label = name if at == 0 else None
                axes[0].semilogy(
                    places, np.maximum(values, 1e-14), f"C{3 * number}o", ms=3, label=label
                )
    if figure:
        axes[0].axhline(1e-5, color="0.5", linestyle="--", linewidth=0.8)
        axes[0].set_xticks(range(4), found)
        axes[0].set(ylabel="relative error of each gradient", ylim=(1e-14, 1e4))
        axes[0].legend(loc="upper right")
    save(figure, args.directory, "planted_error")


def by_heart(args, x, labels):
    """Memorize ten rows: with right gradients, with wrong ones, and where it cannot be done.

    The chain is a network now, whose training calls the same kernels.
    """
    updates = 50 if args.quick else 2000
    twice = np.vstack([x[:9], x[:1]])  # the last row is the first again, with another label
    other = np.append(labels[:9], (labels[0] + 1) % 3)
    cases = {
        "right gradients": ("tanh", 20, x, labels),
        "softplus's slope for tanh's": (PLANTED, 20, x, labels),
        "one row twice, with two labels": ("tanh", 20, twice, other),
        "one hidden unit": ("tanh", 1, x, labels),
    }
    figure, axes = panels(1, width=5.2)
    for name, (activation, units, rows, classes) in cases.items():
        layers = [fastnn.Dense(units, activation), fastnn.Dense(3, "softmax")]
        network = fastnn.Network(
            layers, loss="softmax_cross_entropy", optimizer=fastnn.GD(0.5), dtype="float64"
        )
        network.build(2)
        network.set_weights(start(units))
        losses = network.fit(rows, classes, epochs=updates).history["loss"]
        losses.append(network.evaluate(rows, classes))
        right = (network.predict(rows).argmax(1) == classes).sum()
        print(f"ten rows, {name}: loss {losses[0]:.2f} -> {losses[-1]:.3f}, {right} labels right")
        if figure:
            axes[0].semilogy(range(0, updates, 10), losses[:-1:10], label=name)
    least = 2 * np.log(2) / 10
    print(f"two labels of one row cost at least 2 log 2 / 10 = {least:.3f}")
    if figure:
        axes[0].axhline(least, color="0.5", linestyle=":", linewidth=0.9)
        axes[0].set(xlabel="update", ylabel="cross-entropy of ten rows")
        axes[0].legend(fontsize=7)
    save(figure, args.directory, "by_heart")


if __name__ == "__main__":
    given = arguments(__doc__)
    drawn = np.random.default_rng(1)
    ten, classes = drawn.normal(size=(10, 2)), np.arange(10) % 3
    graph(given)
    check(given, ten, classes)
    by_heart(given, ten, classes)
