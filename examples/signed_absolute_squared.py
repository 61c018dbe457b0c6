"""Estimate w in 2 w = y with the signed, absolute and squared error, with and without noise.

Twenty rows, batches of two in the order of the rows.  w starts at 20; its true value is 1.  The
losses are summed over a batch.  Without options, the first run has the text's own settings.
"""

import warnings

import numpy as np
from pictures import arguments, panels, save

import fastnn
from fastnn import kernels

LOSSES = {"signed_error": "signed", "mae": "absolute", "mse": "squared"}
ROWS, BATCH, START, X = 20, 2, 20.0, 2.0


def estimate(loss, y, rate, epochs):
    """Return w and the batch's loss before every update, and w after the last.

    `y` is (20, n): n sets of noise, each of which has a w of its own.  `rate` is a number or a
    schedule.
    """
    backward, forward = (getattr(kernels, f"{loss}_{way}") for way in ("backward", "forward"))
    w = np.full(y.shape[1], START)
    row_loss, ones = np.empty(BATCH), np.ones(BATCH)
    predicted, slope = np.empty((2, BATCH, len(w)))
    path, losses = [w.copy()], []
    for update in range(epochs * ROWS // BATCH):
        batch = y[update * BATCH % ROWS :][:BATCH]
        predicted[:] = X * w
        forward(predicted, batch, row_loss)
        losses.append(row_loss.sum())
        backward(predicted, batch, ones, slope)
        step = rate(update) if callable(rate) else rate
        kernels.sgd_update(step, X * slope.sum(0), w)
        path.append(w.copy())
    return np.array(path), np.array(losses)


def noisy(sigma, seeds):
    """Return the targets, a column for each seed."""
    return X + sigma * np.stack([np.random.default_rng(s).normal(size=ROWS) for s in seeds], 1)


def windows(line):
    """Return the mean, least and largest value of each of at most 100 stretches, and where."""
    size = -(-len(line) // 100)
    parts = line[: len(line) // size * size].reshape(-1, size)
    seen = (np.arange(len(parts)) + 0.5) * size
    return parts.mean(1), parts.min(1), parts.max(1), seen


def compare(args, name, title, losses, y, rate, epochs):
    """Train with each loss, print where w ends, and draw w and the loss by update."""
    figure, axes = panels(2)
    for number, loss in enumerate(losses):
        path, values = estimate(loss, y, rate, epochs)
        w, tail = path[:, 0], path[-ROWS // BATCH - 1 :, 0]
        print(
            f"{title}, {LOSSES[loss]}: w = {w[-1]:.3f} after {epochs} epochs, "
            f"between {tail.min():.3f} and {tail.max():.3f} in the last"
        )
        if figure:
            # Curves that coincide stay visible, as dashes over a wide line.
            width, dashes = ((3.2, ()), (1.8, (3, 2)), (1.4, (1.2, 0.8)))[number]
            for place, line, label in (
                (axes[0], w[:-1], f"{LOSSES[loss]} error"),
                (axes[1], values, None),
            ):
                middle, low, high, seen = windows(line)
                place.fill_between(seen, low, high, color=f"C{number}", alpha=0.25, linewidth=0)
                style = {"linestyle": (0, dashes)} if dashes else {}
                place.plot(seen, middle, linewidth=width, label=label, **style)
    if figure:
        axes[0].axhline(1, color="0.4", linestyle=":", label="truth")
        axes[0].set(xlabel="update", ylabel="w")
        axes[1].set(xlabel="update", ylabel="loss of the batch")
        axes[1].set_yscale("symlog", linthresh=1e-3)
        axes[0].legend(loc="upper right", fontsize=7)
        if abs(y - X).max() > 1:
            axes[0].set(ylim=(0, 3), ylabel="w (it starts at 20)")
        figure.suptitle(title, fontsize=10)
        save(figure, args.directory, f"losses_{name}")


def printed_step(rate, epochs):
    """Say where the text's own line leads, whose step sums x over all rows, not the batch's."""
    updates, ends = epochs * ROWS // BATCH, []
    for rows in (ROWS, BATCH):
        start = fastnn.initializers.Constant(START)
        layer = fastnn.Dense(1, use_bias=False, kernel_initializer=start)
        loss = fastnn.losses.SignedError(reduction="sum")
        network = fastnn.Network([layer], loss=loss, optimizer=fastnn.SGD(rate), dtype="float64")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that this loss has no least value
            x = np.full((rows, 1), X)
            network.fit(x, x, epochs=updates, batch_size=rows)
        ends.append(network.get_weights()[0].item())
    print(
        f"the signed error's step as printed, summed over all {ROWS} rows: w = {ends[0]:.1f}, "
        f"over the batch: w = {ends[1]:.1f}"
    )


def bounce(args):
    """Draw the last updates without noise, where the absolute error cannot stand still."""
    figure, axes = panels(1, width=5.6)
    for rate in (0.001, 0.0015, 0.0025):
        w = estimate("mae", noisy(0.0, [0]), rate, 2400)[0][-31:, 0]
        print(
            f"No noise, rate {rate}, absolute, last 30 updates: from {w.min():.3f} to {w.max():.3f}"
        )
        if figure:
            axes[0].plot(w, marker="o", ms=3, label=f"rate {rate}")
    if figure:
        axes[0].axhline(1, color="0.4", linestyle=":")
        axes[0].set(xlabel="update, of the last 30", ylabel="w, absolute error")
        axes[0].legend()
    save(figure, args.directory, "losses_bounce")


def many_seeds(args, sigma, rate, epochs, seeds):
    """Compare where the absolute and the squared error lead, over many draws of the noise."""
    y = noisy(sigma, range(seeds))
    off = {loss: abs(estimate(loss, y, rate, epochs)[0][-1] - 1) for loss in ("mae", "mse")}
    nearer = (off["mse"] < off["mae"]).sum()
    print(
        f"Noise {sigma:g} over {seeds} seeds: the squared error is nearer in {nearer}; mean error "
        f"{off['mse'].mean():.2f} squared, {off['mae'].mean():.2f} absolute"
    )
    figure, axes = panels(1, width=3.8, height=3.4)
    if figure:
        axes[0].plot(off["mae"], off["mse"], "o", ms=4)
        most = max(each.max() for each in off.values())
        axes[0].plot([0, most], [0, most], color="0.6", linestyle=":")
        axes[0].plot(off["mae"][0], off["mse"][0], "C3o", ms=5, label="the seed shown above")
        axes[0].set(xlabel="|w - 1|, absolute error", ylabel="|w - 1|, squared error")
        axes[0].legend(fontsize=7)
    save(figure, args.directory, "losses_seeds")


def main():
    args = arguments(__doc__, rate=0.01, epochs=20, noise=0.0, seed=0, seeds=40)
    scale = 20 if args.quick else 1
    both = ["mae", "mse"]
    title = f"Noise {args.noise:g}, rate {args.rate:g}"
    own = noisy(args.noise, [args.seed])
    compare(args, "own", title, list(LOSSES), own, args.rate, args.epochs)
    printed_step(args.rate, args.epochs)
    exact, little, much = (noisy(sigma, [args.seed]) for sigma in (0.0, 0.05, 5.0))
    slow = fastnn.InverseTimeDecay(0.01, 1, 1 / 2000)
    runs = [
        ("signed", "No noise, rate 0.001", list(LOSSES), exact, 0.001, 800),
        ("exact", "No noise, rate 0.001", both, exact, 0.001, 800),
        ("little_noise", "Noise 0.05, rate 0.001", both, little, 0.001, 800),
        ("much_noise", "Noise 5, rate 0.001", both, much, 0.001, 800),
        ("small_rate", "Noise 5, rate 0.0001", both, much, 0.0001, 8000),
        ("decay", "Noise 5, rate 0.01 / (1 + t / 2000)", both, much, slow, 2000),
    ]
    low, high = np.sort(much[:, 0])[9:11] / X
    print(
        f"lowest loss at noise 5: absolute anywhere from w = {low:.3f} to {high:.3f} (medians), "
        f"squared at {much.mean() / X:.3f} (mean)"
    )
    for name, title, losses, y, rate, epochs in runs:
        compare(args, name, title, losses, y, rate, epochs // scale)
    bounce(args)
    many_seeds(args, 5.0, 0.001, 800 // scale, args.seeds)
    figure, axes = panels(1)
    if figure:
        updates = np.arange(0, 20001, 100)
        axes[0].plot(updates, [slow(int(t)) for t in updates])
        axes[0].set(xlabel="update", ylabel="learning rate", ylim=(0, None))
        save(figure, args.directory, "losses_decay_rate")


if __name__ == "__main__":
    main()
