"""The training work that every contender does, with the same data, start, batches and update.

A :class:`Work` is a row of the table, and :func:`problem` makes its arrays from a seed.  Learning
rates are small, so that hundreds of epochs neither diverge nor reach denormal numbers.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Work:
    """One row: a ReLU network of `sizes`, trained without shuffling in batches of `batch` rows."""

    sizes: tuple[int, ...]
    batch: int
    loss: str
    optimizer: str
    learning_rate: float
    rows: int

    @property
    def name(self) -> str:
        return "-".join(map(str, self.sizes))

    @property
    def label(self) -> str:
        loss = {"mae": "MAE", "mse": "MSE", "softmax": "softmax"}[self.loss]
        optimizer = {"sgd": "SGD", "adam": "Adam"}[self.optimizer]
        return f"{self.name}, batch {self.batch}, {loss}, {optimizer}"

    @property
    def flops(self) -> int:
        """Floating-point operations of an epoch's matrix products.

        These are forward and weight gradient for every layer, and input gradient for all but the
        first.
        """
        products = [n_in * n_out for n_in, n_out in zip(self.sizes, self.sizes[1:], strict=False)]
        return 2 * self.rows * (3 * sum(products) - products[0])


WORKS = (
    Work((200, 64, 1), 10, "mae", "sgd", 1e-3, 20_000),
    Work((200, 64, 64, 1), 50, "mae", "sgd", 1e-3, 20_000),
    Work((200, 256, 128, 1), 200, "mae", "adam", 1e-4, 20_000),
    Work((784, 512, 256, 10), 128, "softmax", "sgd", 1e-2, 12_800),
    Work((3072, 1024, 512, 10), 256, "softmax", "adam", 1e-4, 5_120),
)


@dataclass(frozen=True)
class Problem:
    """A work's arrays: X (rows, n_in), y (rows, 1) floats or (rows,) labels, W, b, W, b ..."""

    work: Work
    X: np.ndarray
    y: np.ndarray
    start: list[np.ndarray]

    @property
    def dtype(self) -> np.dtype:
        return self.X.dtype


def problem(work: Work, dtype: str = "float32", seed: int = 0) -> Problem:
    """Return a work's arrays: a noisy linear target, and Glorot-uniform weights.

    Both dtypes start from the same numbers, rounded to float32.
    """
    rng = np.random.default_rng(seed)
    n_in, n_out = work.sizes[0], work.sizes[-1]
    X = rng.standard_normal((work.rows, n_in), np.float32)
    teacher = rng.standard_normal((n_in, n_out), np.float32) / np.float32(np.sqrt(n_in))
    signal = X @ teacher + rng.standard_normal((work.rows, n_out), np.float32)
    start = starting_weights(work, rng, dtype)
    y = signal.argmax(axis=1) if work.loss == "softmax" else signal.astype(dtype)
    return Problem(work, X.astype(dtype, copy=False), y, start)


def starting_weights(work: Work, rng: np.random.Generator, dtype: str) -> list[np.ndarray]:
    """Return W, b, W, b ...: Glorot-uniform weights and zeros."""
    start = []
    for fan_in, fan_out in zip(work.sizes, work.sizes[1:], strict=False):
        limit = np.sqrt(6 / (fan_in + fan_out))
        start.append(rng.uniform(-limit, limit, (fan_in, fan_out)).astype(np.float32))
        start.append(np.zeros(fan_out, np.float32))
    return [w.astype(dtype) for w in start]


def disagreement(weights, expected, start) -> float:
    """Return how far apart two trainings are, relative to how far they have moved.

    This is the largest |weights - expected| / |expected - start| of all arrays (Euclidean norms).
    It is about the rounding error if both did the same work, and about 1 if they did not.
    """
    return max(
        float(np.linalg.norm(w - e) / np.linalg.norm(e.astype(np.float64) - s))
        for w, e, s in zip(weights, expected, start, strict=True)
    )
