"""Evaluation: the loss and the metrics of a network on prepared rows."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from fastnn import lowering
from fastnn.engine import team
from fastnn.lowering import Data
from fastnn.metrics import probabilities, scores

if TYPE_CHECKING:
    from fastnn.network import Network

_ROWS = 256
"""Rows of a batch for each thread: its layers stay in the cache."""


def evaluator(network: "Network", data: Data) -> Callable[[], float]:
    """Return a function that evaluates the present weights; making it is the larger part."""
    model = network._model()
    n_threads = network._threads(min(len(data.x), 2 * _ROWS), model.flops())
    program = lowering.evaluation(model, data, min(len(data.x), _ROWS * n_threads), n_threads)

    def evaluate() -> float:
        outcome = team.run(program, n_rows=len(data.x), backend=network.backend)
        if not outcome.finite:
            return float("nan")
        return float(outcome.sums[0, 0] / outcome.sums[0, 1]) + network._penalty()

    return evaluate


def scored(network: "Network", data: Data, prefix: str = "") -> dict[str, float]:
    """Return the network's metrics on prepared rows."""
    if not network.metrics:
        return {}
    fused = network.loss.fused
    outputs = network._outputs(data.x)
    if fused != network.layers[-1].activation.name:  # the network's outputs are logits
        outputs = probabilities(outputs, fused)
    return scores(network.metrics, data.y, outputs, data.weight, prefix)
