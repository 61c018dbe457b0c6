"""Batch normalization."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from fastnn.engine.arguments import Arg, FlatPart, High, Low, Part, ThreadRow, Whole
from fastnn.engine.buffers import Buffer
from fastnn.engine.clock import Clock
from fastnn.engine.program import aligned, aligned_copy
from fastnn.engine.steps import EVERY
from fastnn.formulas import Formula
from fastnn.inputs.checks import boolean, fraction, positive_float
from fastnn.inputs.settings import setting
from fastnn.layers.base import Factors, Layer, Node, Parameter
from fastnn.optimizers.updater import Updater


class BatchNormalization(Layer, Factors):
    """Normalize each column by the mean and variance of the batch, then scale and shift it.

    ``gamma * (x - mean) / sqrt(variance + epsilon) + beta``.  Training uses the mean and variance
    of the batch's rows, also for a smaller last batch; the variance divides by the number of rows.
    Prediction and evaluation use moving averages of both, which start at 0 and 1 and become
    ``moving = momentum * moving + (1 - momentum) * value`` after each training step.

    Definition, defaults and the order of the weights (gamma, beta, moving_mean, moving_variance)
    are Keras's.  PyTorch's momentum is one minus this one, its default epsilon is 1e-5, and its
    running variance tracks the variance times m / (m - 1) for batches of m rows.

    A batch of one row becomes beta, whatever its values.  It passes no gradient back and, unlike
    in Keras, leaves the moving averages alone.  Training with a batch size of 1 raises ValueError.
    Sample weights do not affect the statistics.

    Parameters
    ----------
    momentum : float in [0, 1)
    epsilon : float
    center, scale : bool
        Whether there is a beta and a gamma.
    learning_rate_factor : float of at least 0
        What the optimizer's learning rate is multiplied by for this layer's parameters.
    weight_decay_factor : float of at least 0, optional
        What :class:`~fastnn.AdamW`'s decay is multiplied by for them; see there.

    Raises
    ------
    ValueError, TypeError
        For settings out of range.  :meth:`fastnn.Network.fit` also raises for a batch size of 1.

    References
    ----------
    S. Ioffe and C. Szegedy, "Batch Normalization: Accelerating Deep Network Training by Reducing
    Internal Covariate Shift", ICML 2015.

    Examples
    --------
    >>> import fastnn
    >>> hidden = [fastnn.Dense(64, use_bias=False), fastnn.BatchNormalization()]
    >>> network = fastnn.Network([*hidden, fastnn.Activation("relu"), fastnn.Dense(1)])
    >>> network.build(10)
    >>> [array.shape for array in network.get_weights()]
    [(10, 64), (64,), (64,), (64,), (64,), (64, 1), (1,)]
    """

    least_rows = 2

    momentum: float = setting(default=0.99, check=fraction)
    epsilon: float = setting(default=1e-3, check=positive_float)
    center: bool = setting(default=True, check=boolean, building=True)
    scale: bool = setting(default=True, check=boolean, building=True)

    def shapes(self, n_inputs: int) -> dict[str, tuple[int, ...]]:
        names = [*["gamma"] * self.scale, *["beta"] * self.center, "moving_mean", "moving_variance"]
        return dict.fromkeys(names, (n_inputs,))

    def build(self, n_inputs: int, rng: np.random.Generator, dtype: np.dtype) -> list[Parameter]:
        start = {
            name: aligned_copy(np.full(shape, name in ("gamma", "moving_variance"), dtype))
            for name, shape in self.shapes(n_inputs).items()
        }
        tracked: dict[str, dict[str, Any]] = {
            "moving_mean": {"trained": False},
            "moving_variance": {"trained": False, "least": 0.0},
        }
        return [Parameter(name, value, **tracked.get(name, {})) for name, value in start.items()]

    def forward(self, node: Node) -> None:
        own = {parameter.name: parameter.value for parameter in node.parameters}
        gamma = Whole(own.get("gamma", np.ones(node.width, node.program.dtype)))
        beta = Whole(own.get("beta", np.zeros(node.width, node.program.dtype)))
        node.kept = {"gamma": gamma}
        statistics: tuple[Arg, Arg]
        if node.training:
            statistics = self._batch_statistics(node)
        else:
            inverse = ThreadRow(aligned((node.program.n_threads, node.width), node.program.dtype))
            variance = Whole(own["moving_variance"])
            node.program.add("inverse_deviation", self.epsilon, variance, inverse, extent=EVERY)
            statistics = Whole(own["moving_mean"]), inverse
        y = node.output(node.width)
        node.program.add("batch_norm_forward", node.x.rows, *statistics, gamma, beta, y.rows)

    def formula(self, x: Formula, own: Mapping[str, np.ndarray]) -> Formula:
        inverse = 1 / np.sqrt(own["moving_variance"].astype(np.float64) + self.epsilon)
        scaled = (x - own["moving_mean"]) * (inverse * own.get("gamma", 1))
        return scaled + own["beta"] if self.center else scaled

    def _batch_statistics(self, node: Node) -> tuple[Arg, Arg]:
        """Add the steps that compute the batch's mean and inverse deviation; return both."""
        program = node.program
        mean, variance, inverse = (aligned((node.width,), program.dtype) for _ in range(3))
        deviation = "inverse_deviation", (self.epsilon, Part(variance), Part(inverse))
        program.barrier()
        program.add_group([*program.moments(node.x, mean, variance), deviation], node.width)
        program.barrier()
        node.kept |= {"mean": mean, "variance": variance, "inverse": inverse}
        return Whole(mean), Whole(inverse)

    def backward(self, node: Node, dy: Buffer, inputs: bool) -> Buffer:
        program, width = node.program, node.width
        dgamma, dbeta = (aligned((width,), program.dtype) for _ in range(2))
        node.kept |= {"dgamma": dgamma, "dbeta": dbeta}
        statistics = Whole(node.kept["mean"]), Whole(node.kept["inverse"])
        sums = Whole(dgamma), Whole(dbeta)
        given = node.x.batch, *statistics, dy.batch, Low(), High()
        program.barrier()
        program.add_sum(("batch_norm_gradients", (*given, *sums)), [dgamma, dbeta], width)
        if not inputs:
            return dy
        dx = program.buffer(width)
        given_rows = node.x.rows, *statistics, node.kept["gamma"], *sums, Clock.ALL_ROWS
        program.barrier()
        program.add("batch_norm_backward", *given_rows, dy.rows, dx.rows)
        return dx

    def update(self, node: Node, updater: Updater) -> None:
        for parameter in node.parameters:
            if parameter.trained:
                gradient = FlatPart(node.kept[f"d{parameter.name}"])
                node.program.add_group(parameter.update(gradient, updater), node.width)
            else:
                value = Part(node.kept[parameter.name.removeprefix("moving_")])
                call = self.momentum, Clock.ALL_ROWS, value, Part(parameter.value)
                node.program.add("moving_update", *call, extent=node.width)
