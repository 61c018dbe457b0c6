"""Gradient descent on a curve, on all rows or few at a time, and from starts that hold it."""

from time import perf_counter

import numpy as np
from pictures import arguments, panels, save

import fastnn


def curve(b):
    """Return the curve's height and slope at `b`."""
    return b**2 / 4 + np.cos(2 * b) / 4, b / 2 - np.sin(2 * b) / 2


def on_a_curve(args):
    """Draw two updates of gradient descent, the paths of three rates, and of three optimizers."""
    found = fastnn.minimize(curve, 3.0, fastnn.SGD(0.5), steps=4)
    line = np.linspace(-3.4, 3.4, 200)
    figure, axes = panels(2, 2, height=2.5)
    for number, update in enumerate((1, 4)):
        passed = found.path[: update + 1]
        height, slope = found.values[update - 1], found.gradients[update - 1]
        print(f"update {update}: slope {slope:.3f} at b = {passed[-2]:.3f}, then {passed[-1]:.3f}")
        if figure:
            tangent = passed[-2] + np.array([-0.7, 0.7])
            axes[number].plot(line, curve(line)[0], color="0.6")
            axes[number].plot(tangent, height + slope * (tangent - passed[-2]), "C1")
            axes[number].plot(passed, curve(passed)[0], "C0o", ms=4)
            axes[number].plot(passed[-1], curve(passed[-1])[0], "C3o", ms=6)
            axes[number].set(title=f"update {update}", xlabel="b", ylabel="f(b)")
    ways = [(2, f"rate {rate}", fastnn.SGD(rate)) for rate in (0.05, 0.5, 2.5)]
    ways += [
        (3, "momentum 0.9", fastnn.SGD(0.5, momentum=0.9)),
        (3, "Adam, rate 0.5", fastnn.Adam(0.5)),
        (3, "L-BFGS", fastnn.LBFGS()),
    ]
    for number, name, optimizer in ways:
        passed = fastnn.minimize(curve, 3.0, optimizer, steps=20).path
        print(f"{name}: b = {passed[-1]:.3f} after {len(passed) - 1} updates")
        if figure:
            axes[number].plot(passed, label=name, marker="o", ms=2)
    if figure:
        axes[2].set(title="three rates", xlabel="update", ylabel="b")
        axes[3].set(title="other optimizers", xlabel="update")
        axes[2].legend(fontsize=7)
        axes[3].legend(fontsize=7)
    save(figure, args.directory, "descent_curve")


def all_rows_or_few(args):
    """Follow the loss on all rows, by updates and by seconds, at three sizes of a batch."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4000, 20))
    y = np.tanh(X[:, :4]).sum(1, keepdims=True) + 0.3 * rng.normal(size=(4000, 1))
    parts = {"all 4,000 rows": (4000, 0.2, 150), "32 rows": (32, 0.05, 40), "1 row": (1, 0.005, 40)}
    figure, axes = panels(2)
    for name, (size, rate, looks) in parts.items():
        layers = [fastnn.Dense(16, "tanh"), fastnn.Dense(1)]
        network = fastnn.Network(layers, optimizer=fastnn.SGD(rate), n_threads=1)
        network.train_on_batch(X[:2], y[:2])  # compiles
        network.reset()
        network.build(20)
        rows = size if size == 4000 else 400  # between two looks
        updates, seconds, losses = [0], [0.0], [network.evaluate(X, y)]
        for look in range(looks // 10 if args.quick else looks):
            first = look * rows % 4000
            begin = perf_counter()
            network.fit(X[first : first + rows], y[first : first + rows], batch_size=size)
            seconds.append(seconds[-1] + perf_counter() - begin)
            updates.append(updates[-1] + -(-rows // size))
            losses.append(network.evaluate(X, y))
        passes = updates[-1] * size / 4000
        print(
            f"{name} an update, rate {rate}: loss {losses[0]:.2f} -> {losses[-1]:.3f} "
            f"in {updates[-1]} updates, {passes:.0f} times through the data"
        )
        if figure:
            axes[0].loglog(np.maximum(updates, 0.5), losses, label=name)
            axes[1].plot(1000 * np.array(seconds), losses, label=name)
    if figure:
        axes[0].set(xlabel="updates", ylabel="mean squared error, all rows")
        axes[1].set(xlabel="milliseconds of updating", xscale="symlog", yscale="log")
        axes[0].legend()
    save(figure, args.directory, "descent_batches")


def equal_units(args):
    """Train from equal weights and from random ones, and follow each hidden unit's weight."""
    x = np.linspace(-1, 1, 40)[:, None]
    starts = {"equal": fastnn.initializers.Constant(0.5), "random": fastnn.initializers.Normal(0.5)}
    figure, axes = panels(2, sharey=True)
    for number, (name, start) in enumerate(starts.items()):
        layers = [fastnn.Dense(n, a, kernel_initializer=start) for n, a in ((5, "tanh"), (1, None))]
        network = fastnn.Network(layers, optimizer=fastnn.SGD(0.2), dtype="float64")
        network.build(1)
        weights = [network.get_weights()[0][0]]
        network.fit(
            x,
            np.sin(4 * x),
            epochs=20 if args.quick else 300,
            callbacks=[lambda *_, net=network, out=weights: out.append(net.get_weights()[0][0])],
        )
        weights, loss = np.array(weights), network.evaluate(x, np.sin(4 * x))
        apart = np.ptp(weights[-1])
        print(f"{name} start: units end {apart:.3f} apart, loss {loss:.3f}")
        if figure:
            axes[number].plot(range(0, len(weights), 3), weights[::3])
            axes[number].set(title=f"{name} start, loss {loss:.3f}", xlabel="epoch")
    if figure:
        axes[0].set_ylabel("weight of each of five units")
    save(figure, args.directory, "equal_units")


def saddle(args):
    """Draw the loss of v tanh(w x) and the paths that lead away from its saddle at 0."""
    x = np.linspace(-1, 1, 21)[:, None]
    y = np.tanh(2 * x)
    line = np.linspace(-2.4, 2.4, 25)
    w, v = np.meshgrid(line, line)
    outputs = v[..., None] * np.tanh(w[..., None] * x[:, 0])
    surface = ((outputs - y[:, 0]) ** 2).mean(-1)
    figure, axes = panels(1, width=4.6, height=3.8)
    if figure:
        levels = [0.01, 0.03, 0.1, 0.2, 0.3, 0.4, 0.6, 1, 2, 4]
        lines = axes[0].contour(line, line, surface, levels=levels, colors="0.7", linewidths=0.8)
        axes[0].clabel(lines, fontsize=6)
    for begin in ((0.0, 0.0), (0.05, 0.05), (-0.05, 0.02), (1.5, -1.5)):
        layers = [fastnn.Dense(1, "tanh", use_bias=False), fastnn.Dense(1, use_bias=False)]
        network = fastnn.Network(layers, optimizer=fastnn.GD(0.1), dtype="float64")
        network.build(1)
        network.set_weights([[[begin[0]]], [[begin[1]]]])
        path = [begin]
        network.fit(
            x,
            y,
            epochs=20 if args.quick else 200,
            callbacks=[
                lambda *_, net=network, out=path: out.append([a.item() for a in net.get_weights()])
            ],
        )
        path = np.array(path)
        print(f"from {begin}: w = {path[-1, 0]:.3f}, v = {path[-1, 1]:.3f}")
        if figure:
            drawn = axes[0].plot(*path[::5].T, label=f"from {begin[0]:g}, {begin[1]:g}")[0]
            axes[0].plot(*path[-1], "o", ms=5, color=drawn.get_color())
    if figure:
        axes[0].set(xlabel="w, into the hidden unit", ylabel="v, out of it")
        axes[0].legend(loc="lower left", fontsize=7, frameon=True)
    save(figure, args.directory, "saddle")


if __name__ == "__main__":
    given = arguments(__doc__)
    on_a_curve(given)
    all_rows_or_few(given)
    equal_units(given)
    saddle(given)
