"""Estimate w in 2 w = y with the signed, absolute and squared error, with and without noise.

Twenty rows, batches of two.  w starts at 20; its true value is 1.  The rates are for losses
summed over a batch.  fastnn takes the mean over the two rows, so the optimizer gets twice the rate.
"""

import warnings

import numpy as np
from pictures import arguments, panels, save

import fastnn

LOSSES = {"signed_error": "signed", "mae": "absolute", "mse": "squared"}
BATCH = 2


def estimate(loss, y, rate, epochs):
    """Return w and the mean loss after every epoch."""
    start = fastnn.initializers.Constant(20.0)
    layers = [fastnn.Dense(1, use_bias=False, kernel_initializer=start)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the signed error warns that it has no minimum
        network = fastnn.Network(layers, loss=loss, optimizer=fastnn.SGD(rate), dtype="float64")
        w = []
        history = network.fit(
            np.full((len(y), 1), 2.0),
            y,
            epochs=epochs,
            batch_size=BATCH,
            callbacks=[lambda epoch, logs: w.append(network.get_weights()[0].item())],
        )
    return np.array(w), np.array(history.history["loss"])


def compare(args, name, title, losses, y, rate, epochs):
    """Train with each loss, print where w ends, and draw w and the loss by epoch."""
    figure, axes = panels(2)
    for loss in losses:
        w, values = estimate(loss, y, rate, epochs)
        tail = w[-len(w) // 5 :]
        print(f"{title}, {LOSSES[loss]}: w = {w[-1]:.4f}, moving by {tail.std():.4f} at the end")
        if figure:
            label = f"{LOSSES[loss]} error"
            axes[0].plot(range(1, epochs + 1), w, label=label)
            axes[1].plot(range(1, epochs + 1), values, label=label)
    if figure:
        axes[0].axhline(1, color="0.4", linestyle=":", label="truth")
        axes[0].set(xlabel="epoch", ylabel="w")
        axes[1].set(xlabel="epoch", ylabel="mean loss of the epoch")
        if "signed_error" in losses:
            axes[1].set_yscale("symlog")
        else:
            axes[1].set_yscale("symlog", linthresh=1e-3)
            axes[1].set_ylim(0, None)
        if abs(y - 2).max() > 1:
            axes[0].set(ylim=(0, 3), ylabel="w (it starts at 20)")
            axes[1].set(yscale="log", ylim=(1, None))
        axes[1].legend(*axes[0].get_legend_handles_labels(), loc="upper right")
        figure.suptitle(title, fontsize=10)
        save(figure, args.directory, f"losses_{name}")


def main():
    args = arguments(__doc__)
    scale = 20 if args.quick else 1
    noise = np.random.default_rng(0).normal(size=(20, 1))
    both = ["mae", "mse"]
    exact, little, much = (2 + sigma * noise for sigma in (0.0, 0.05, 5.0))
    slow = fastnn.InverseTimeDecay(0.01 * BATCH, 1, 1 / 2000)
    rate = 0.001 * BATCH
    runs = [
        ("signed", "No noise, rate 0.001", list(LOSSES), exact, rate, 800),
        ("exact", "No noise, rate 0.001", both, exact, rate, 800),
        ("little_noise", "Noise 0.05, rate 0.001", both, little, rate, 800),
        ("much_noise", "Noise 5, rate 0.001", both, much, rate, 800),
        ("small_rate", "Noise 5, rate 0.0001", both, much, rate / 10, 8000),
        ("decay", "Noise 5, rate 0.01 / (1 + t / 2000)", both, much, slow, 2000),
    ]
    low, high = np.sort(much.ravel())[9:11] / 2
    print(
        f"lowest loss at noise 5: absolute anywhere from w = {low:.4f} to {high:.4f} (medians), "
        f"squared at {much.mean() / 2:.4f} (mean)"
    )
    for name, title, losses, y, learning_rate, epochs in runs:
        compare(args, name, title, losses, y, learning_rate, epochs // scale)
    figure, axes = panels(1)
    if figure:
        updates = np.arange(0, 20001, 100)
        axes[0].plot(updates, [slow(int(t)) / BATCH for t in updates])
        axes[0].set(xlabel="update", ylabel="learning rate", ylim=(0, None))
        save(figure, args.directory, "losses_decay_rate")


if __name__ == "__main__":
    main()
