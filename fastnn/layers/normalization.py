"""Batch normalization."""

import numpy as np

from fastnn.engine.arguments import Arg, FlatPart, High, Low, Part, ThreadRow, Whole
from fastnn.engine.buffers import Buffer
from fastnn.engine.clock import Clock
from fastnn.engine.program import aligned, aligned_copy
from fastnn.engine.steps import EVERY
from fastnn.inputs.checks import boolean, fraction, positive_float
from fastnn.inputs.settings import setting
from fastnn.layers.base import Layer, Node, Parameter
from fastnn.optimizers.updater import Updater


class BatchNormalization(Layer):
    """Normalize each column by the mean and variance of the batch, then scale and shift it.

    ``gamma * (x - mean) / sqrt(variance + epsilon) + beta``.  While training, mean and variance
    are those of the batch's rows, a last, smaller batch's too; variance is the sum of squares
    divided by the number of rows.  Prediction and evaluation use moving averages of both,
    ``moving = momentum * moving + (1 - momentum) * value`` after each training step, that start
    from 0 and 1.

    Keras's definition, defaults and order of weights: gamma, beta, moving_mean, moving_variance.
    PyTorch's momentum is one minus this one and its default epsilon 1e-5; its running variance
    follows the variance times m / (m - 1) for batches of m rows.

    A batch of one row becomes beta, whatever it was: it passes no gradient on and, unlike in
    Keras, leaves the moving averages as they are.  Training with a batch size of 1 is refused.
    Weights of rows do not enter the statistics.

    Parameters
    ----------
    momentum : float in [0, 1)
    epsilon : float
    center, scale : bool
        Whether there is a beta, a gamma.

    Raises
    ------
    ValueError, TypeError
        For settings out of range; by :meth:`fastnn.Network.fit` for batches of one row.

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
    center: bool = setting(default=True, check=boolean)
    scale: bool = setting(default=True, check=boolean)

    def build(self, n_inputs: int, rng: np.random.Generator, dtype: np.dtype) -> list[Parameter]:
        ones, zeros = np.ones(n_inputs, dtype), np.zeros(n_inputs, dtype)
        built = [Parameter("gamma", aligned_copy(ones))] if self.scale else []
        built += [Parameter("beta", aligned_copy(zeros))] if self.center else []
        mean = Parameter("moving_mean", aligned_copy(zeros), trained=False)
        variance = Parameter("moving_variance", aligned_copy(ones), trained=False, least=0.0)
        return [*built, mean, variance]

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

    def _batch_statistics(self, node: Node) -> tuple[Arg, Arg]:
        """Add the steps that find the batch's mean and inverse deviation; return these."""
        program = node.program
        mean, variance, inverse = (aligned((node.width,), program.dtype) for _ in range(3))
        moments = node.x.batch, Low(), High(), Whole(mean), Whole(variance)
        deviation = self.epsilon, Part(variance), Part(inverse)
        program.barrier()
        program.add_group(
            [("batch_moments", moments), ("inverse_deviation", deviation)], node.width
        )
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
        program.add("batch_norm_gradients", *given, *sums, extent=width)
        if not inputs:
            return dy
        dx = program.buffer(width)
        given_rows = node.x.rows, *statistics, node.kept["gamma"], *sums, Clock.ROWS
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
                call = self.momentum, Clock.ROWS, value, Part(parameter.value)
                node.program.add("moving_update", *call, extent=node.width)
