"""Evaluation: the loss and the metrics of a network on prepared rows."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from fastnn.engine import team
from fastnn.metrics import activated, scores
from fastnn.training import lowering
from fastnn.training.lowering import Data

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


def check_metrics(network: "Network") -> None:
    """Raise ValueError for a metric that cannot be had from the outputs of a network."""
    loss, last = network.loss, network.layers[-1].activation.name
    for metric in network.metrics:
        if metric.builtin and loss.outputs > 1:
            raise ValueError(
                f"metric {metric.name!r} wants one output for each target, but loss {loss.name!r} "
                f"has {loss.outputs}: wanted a function of (y, prediction)"
            )
        if metric.name == "log_loss" and not {"softmax", "sigmoid"} & {loss.fused, last}:
            raise ValueError(
                f"metric 'log_loss' wants probabilities, but under loss {loss.name!r} the outputs "
                f"of a last layer with activation {last!r} are none"
            )


def scored(network: "Network", data: Data, prefix: str = "") -> dict[str, float]:
    """Return the network's metrics on prepared rows."""
    if not network.metrics:
        return {}
    fused = network.loss.fused
    outputs = network._outputs(data.x)
    if fused != network.layers[-1].activation.name:  # the outputs are those before it
        outputs = activated(outputs, fused)
    return scores(network.metrics, data.y, outputs, data.weight, prefix)
