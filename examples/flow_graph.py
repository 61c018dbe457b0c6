"""Backprop box by box, a gradient check that finds a planted error, and small sets by heart.

A network of two inputs, three tanh units and three classes is a chain of boxes.  Each box computes
its value from its child's (fprop) and the loss's gradient in its child from that in itself (bprop),
both with fastnn's kernels.
"""

import numpy as np
from pictures import arguments, panels, save

from fastnn import kernels


class Affine:
    """``a = x @ W + b``."""

    def __init__(self, W, b):
        self.W, self.b = W, b

    def fprop(self, x):
        self.x, out = x, np.empty((len(x), len(self.b)))
        kernels.matmul_nn(x, self.W, out)
        return out + self.b

    def bprop(self, d):
        self.dW, dx = np.empty_like(self.W), np.empty_like(self.x)
        kernels.matmul_tn(self.x, d, self.dW)
        self.db = d.sum(0)
        kernels.matmul_nt(d, self.W, dx)
        return dx


class Elementwise:
    """An activation, by the names of its kernels."""

    def __init__(self, name, wrong=None):
        self.forward = getattr(kernels, f"{name}_forward")
        self.backward = getattr(kernels, f"{wrong or name}_backward")

    def fprop(self, x):
        self.x, self.y = x, np.empty_like(x)
        self.forward(x, self.y)
        return self.y

    def bprop(self, d):
        dx = np.empty_like(d)
        self.backward(self.x, self.y, d, dx)
        return dx


class Likelihood:
    """``-log f_y`` of probabilities f and labels y, the mean over rows; its gradient is -e(y)/f."""

    def __init__(self, labels):
        self.labels = labels

    def fprop(self, f):
        self.f = f
        return -np.log(f[np.arange(len(f)), self.labels]).mean()

    def bprop(self):
        d, rows = np.zeros_like(self.f), np.arange(len(self.f))
        d[rows, self.labels] = -1 / self.f[rows, self.labels] / len(self.f)
        return d


def boxes(labels, wrong=None, units=3):
    rng = np.random.default_rng(0)
    return [
        Affine(rng.normal(size=(2, units)), np.zeros(units)),
        Elementwise("tanh", wrong),
        Affine(rng.normal(size=(units, 3)), np.zeros(3)),
        Elementwise("softmax"),
        Likelihood(labels),
    ]


def fprop(chain, x):
    """Return the values of all boxes, the loss last."""
    values = [x]
    for box in chain:
        values.append(box.fprop(values[-1]))
    return values


def bprop(chain):
    """Return the loss's gradient in each box's child, the first box's first."""
    gradients = [chain[-1].bprop()]
    for box in chain[-2::-1]:
        gradients.insert(0, box.bprop(gradients[0]))
    return gradients


def graph(args):
    """Draw the chain for one row, with what each box computes in both directions."""
    chain = boxes(np.array([2]))
    values = fprop(chain, np.array([[0.5, -1.0]]))
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


def parameters(chain):
    """Return each array of parameters with its gradient after a bprop, by name."""
    first, second = chain[0], chain[2]
    return {
        "W1": (first.W, first.dW),
        "b1": (first.b, first.db),
        "W2": (second.W, second.dW),
        "b2": (second.b, second.db),
    }


def errors(chain, x, width=1e-5):
    """Return the relative error of each parameter's gradient against central differences."""
    fprop(chain, x)
    bprop(chain)
    found = {}
    for name, (w, dw) in parameters(chain).items():
        found[name] = []
        for place in range(w.size):
            here = w.flat[place]
            losses = []
            for moved in (here + width, here - width):
                w.flat[place] = moved
                losses.append(fprop(chain, x)[-1])
            w.flat[place] = here
            slope = (losses[0] - losses[1]) / (2 * width)
            size = max(abs(slope), abs(dw.flat[place]), 1e-8)
            found[name].append(abs(slope - dw.flat[place]) / size)
    return found


def check(args, x, labels):
    """Check right gradients, and those those with the slope of softplus for tanh."""
    figure, axes = panels(1, width=5.2)
    cases = {"right": None, "softplus's slope for tanh's": "softplus"}
    for number, (name, wrong) in enumerate(cases.items()):
        found = errors(boxes(labels, wrong), x)
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


def learn(chain, x, updates):
    losses = []
    for _ in range(updates):
        losses.append(fprop(chain, x)[-1])
        bprop(chain)
        for w, dw in parameters(chain).values():
            kernels.sgd_update(0.5, dw.ravel(), w.reshape(-1))
    return losses


def by_heart(args, x, labels):
    """Memorize ten rows: with right gradients, with wrong ones, and where it cannot be done."""
    updates = 50 if args.quick else 2000
    twice = np.vstack([x[:9], x[:1]])  # the last row is the first again, with another label
    other = np.append(labels[:9], (labels[0] + 1) % 3)
    cases = {
        "right gradients": (boxes(labels, units=20), x),
        "softplus's slope for tanh's": (boxes(labels, "softplus", 20), x),
        "one row twice, with two labels": (boxes(other, units=20), twice),
        "one hidden unit": (boxes(labels, units=1), x),
    }
    figure, axes = panels(1, width=5.2)
    for name, (chain, rows) in cases.items():
        losses = learn(chain, rows, updates)
        right = (fprop(chain, rows)[-2].argmax(1) == chain[-1].labels).sum()
        print(f"ten rows, {name}: loss {losses[0]:.2f} -> {losses[-1]:.3f}, {right} labels right")
        if figure:
            axes[0].semilogy(range(0, updates, 10), losses[::10], label=name)
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
