"""Time every contender's prediction of one row and of many: NumPy arrays in and out."""

import sys
from dataclasses import replace

import numpy as np

from bench.measure import REST, alternate
from bench.peers import Peer
from bench.workloads import WORKS, problem

WORK = replace(next(w for w in WORKS if w.name == "200-64-64-1"), rows=200_000)
PREDICTORS = {
    "fastnn": Peer("fastnn", "fastnn_peer", "fastnn", "predictor"),
    "onnx": Peer("ONNX Runtime", "onnx_peer", "onnx onnxruntime", "predictor"),
    "numpy": Peer("NumPy", "numpy_path", "numpy", "predictor"),
    "sklearn": Peer("scikit-learn", "sklearn_peer", "sklearn", "predictor"),
    "torch": Peer("PyTorch", "torch_peer", "torch", "predictor"),
    "jax": Peer("JAX", "jax_peer", "jax", "predictor"),
}
AGREE = {"float32": 1e-4, "float64": 1e-12}
"""How far outputs, which are about 1, may be from NumPy's in float64."""


def expected(data, x) -> np.ndarray:
    """Return the outputs for the rows of `x`, computed in float64."""
    weights = [w.astype(np.float64) for w in data.start]
    for W, b in zip(weights[:-2:2], weights[1:-2:2], strict=True):
        x = np.maximum(x @ W + b, 0)
    return x @ weights[-2] + weights[-1]


def repeat(function, x):
    """Return a contender that predicts `x` as often as it is asked to."""

    def run(count):
        for _ in range(count):
            function(x)

    return run


def main(threads: int, dtype: str, rounds: int, shortest: float, peers: list[str]):
    """Return [{"rows", "peers": {name: {"median", "q1", "q3", "agrees"}}}].

    A single row is predicted on one thread only.
    """
    data = problem(WORK, dtype)
    functions = {name: PREDICTORS[name].make(data, threads) for name in peers}
    found = []
    for rows in (1, WORK.rows) if threads == 1 else (WORK.rows,):
        x = data.X[:rows].copy()
        right, agrees = expected(data, x), {}
        for name, function in functions.items():
            outputs = np.asarray(function(x)).reshape(right.shape)
            worst = np.abs(outputs - right).max()
            agrees[name] = bool(worst < AGREE[dtype])
            if not agrees[name]:
                print(f"DISAGREEMENT: {name}, {rows} rows: {worst:.1e}", file=sys.stderr)
        times = alternate(
            {name: repeat(function, x) for name, function in functions.items()},
            rounds,
            shortest,
            rest=REST,
        )
        found.append(
            {"rows": rows, "peers": {n: times[n] | {"agrees": agrees[n]} for n in functions}}
        )
    return found
