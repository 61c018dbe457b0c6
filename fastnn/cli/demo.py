"""``demo``: train two networks on the bundled data sets, and time kernels against NumPy."""

import functools
import timeit
from collections.abc import Callable
from typing import Any

import numpy as np

import fastnn.kernels
import fastnn.reference
from fastnn.cli.report import classification_report, regression_report, speed_report
from fastnn.datasets import load_diabetes, load_digits, train_test_split


def demo() -> None:
    """Train and test on the diabetes study and the digits, then time kernels."""
    regression()
    classification()
    kernels()


def regression() -> None:
    """Train a ReLU network with mean absolute error."""
    diabetes = load_diabetes()
    X_train, X_test, y_train, y_test = train_test_split(diabetes.X, diabetes.y)
    mean, scale = X_train.mean(axis=0), X_train.std(axis=0)
    y_mean, y_scale = y_train.mean(), y_train.std()
    print("Regression: diabetes study, progression in a year from 10 measurements")
    print(f"  {len(X_train)} patients to train on, {len(X_test)} to test on")
    print("  network 10 - 64 - 64 - 1, ReLU, mean absolute error, Adam, batches of 32")
    network = fastnn.Network(
        [fastnn.Dense(64, "relu"), fastnn.Dense(64, "relu"), fastnn.Dense(1)],
        loss="mae",
        optimizer="adam",
    )
    history = network.fit(
        (X_train - mean) / scale, (y_train - y_mean) / y_scale, epochs=40, verbose=1
    )
    predicted = network.predict((X_test - mean) / scale) * y_scale + y_mean
    print(f"  {regression_report('mae', y_test, predicted, y_train)}")
    print(f"  {speed_report(history)}\n")


def classification() -> None:
    """Train a softmax classifier."""
    digits = load_digits()
    X_train, X_test, y_train, y_test = train_test_split(digits.X / 16, digits.y, stratify=digits.y)
    print("Classification: handwritten digits, 8x8 pixels")
    print(f"  {len(X_train)} images to train on, {len(X_test)} to test on")
    print("  network 64 - 128 - 64 - 10, ReLU, softmax, Adam, batches of 32")
    network = fastnn.Network(
        [fastnn.Dense(128, "relu"), fastnn.Dense(64, "relu"), fastnn.Dense(10, "softmax")],
        loss="softmax_cross_entropy",
        optimizer="adam",
    )
    history = network.fit(X_train, y_train, epochs=20, verbose=1)
    predicted = network.predict(X_test).argmax(axis=1)
    print(f"  {classification_report(y_test, predicted, y_train)}")
    print(f"  {speed_report(history)}\n")


def kernels() -> None:
    """Print how long kernels and their NumPy references take on the same arrays."""
    print("Kernels, float32: compiled against their NumPy references, microseconds per call")
    print(f"  {'kernel':<32}{'shape':<16}{'fastnn':>9}{'NumPy':>9}{'ratio':>8}")
    cases = _cases()
    # Not alternating: idle threads of NumPy's BLAS keep spinning on our cores for a while.
    times = [
        [_microseconds(getattr(package, name), arguments) for name, _, arguments in cases]
        for package in (fastnn.kernels, fastnn.reference)
    ]
    for (name, shape, _), compiled, reference in zip(cases, *times, strict=True):
        ratio = f"{reference / compiled:.1f}x"
        print(f"  {name:<32}{shape:<16}{compiled:>9.1f}{reference:>9.1f}{ratio:>8}")


def _cases() -> list[tuple[str, str, tuple[Any, ...]]]:
    """Return (kernel, shape, arguments) tuples.

    The arrays are small, so that NumPy's temporaries do not take fresh memory on every call.
    """
    generator = np.random.default_rng(0)

    def some(*shape: int) -> np.ndarray:
        return generator.standard_normal(shape, np.float32)

    x, w, b, out = some(128, 784), some(784, 512), some(512), some(128, 512)
    rows, rows_out = some(100, 256), some(100, 256)
    logits, labels, row_loss = some(128, 10), generator.integers(10, size=128), some(128)
    fitted, target, gradient = some(1000, 1), some(1000, 1), some(1000, 1)
    row_scale = np.full(1000, 1 / 1000, np.float32)
    dw, m, weights = some(20_000), some(20_000), some(20_000)
    v = np.abs(some(20_000))
    return [
        ("matmul_nn", "128x784x512", (x, w, out)),
        ("dense_forward", "128x784x512", (x, w, b, 0.0, 0, out)),
        ("relu_forward", "100x256", (rows, 0.0, rows_out)),
        ("sigmoid_forward", "100x256", (rows, rows_out)),
        ("tanh_forward", "100x256", (rows, rows_out)),
        ("softmax_cross_entropy_forward", "128x10", (logits, labels, 0.0, row_loss)),
        ("mae_backward", "1000x1", (fitted, target, row_scale, gradient)),
        ("adam_update", "20,000", (1e-3, 0.0, 0.9, 0.999, 1e-8, 10, dw, m, v, weights)),
    ]


def _microseconds(function: Callable[..., None], arguments: tuple[Any, ...]) -> float:
    """Return the best of several runs of 20 ms each, after a first call that does not count."""
    function(*arguments)
    timer = timeit.Timer(functools.partial(function, *arguments))
    count = max(1, int(0.02 / max(timer.timeit(1), 1e-7)))
    return min(timer.timeit(count) / count for _ in range(7)) * 1e6
