"""Dropout: drop random units or inputs during training."""

from collections.abc import Mapping
from functools import partial

import numpy as np

from fastnn import schedules
from fastnn.engine.arguments import FirstRow, Number
from fastnn.engine.buffers import Buffer
from fastnn.engine.program import Call, Program
from fastnn.engine.steps import BATCH
from fastnn.formulas import Formula
from fastnn.inputs.checks import fraction
from fastnn.inputs.settings import among, setting
from fastnn.layers.base import Layer, Node
from fastnn.losses import Loss
from fastnn.regularizers import Regularizer
from fastnn.schedules import Rate, Schedule


class Dropout(Layer):
    """Set each input of the layer to 0 with probability `rate` in each training step.

    Training draws a mask m of 0 or 1 for every row and unit, with ``P(m = 0) = rate``:

    * scaling "inverted": training uses ``m * x / (1 - rate)``, prediction and evaluation `x`.
    * scaling "test": training uses ``m * x``, prediction and evaluation ``(1 - rate) * x``.

    Either way, prediction uses the mean of what training uses.  Keras and PyTorch have the inverted
    form.  The paper scales at test time; its p is the probability of keeping a unit, so `rate` is
    one minus p.

    As the first layer, it drops inputs.  The mask depends only on the network's seed, the layer's
    position, the number of the update, the row's position in the batch and the unit.

    Parameters
    ----------
    rate : float in [0, 1), or Schedule
        The share to drop; 0 does nothing.  A schedule gives it as a function of the number of
        updates so far, as it does with learning rates.
    scaling : {"inverted", "test"}
        When to scale.

    Raises
    ------
    ValueError, TypeError
        For a rate outside [0, 1), a schedule that may reach 1, an unknown scaling, or a schedule
        scaled at test, since prediction has no rate then.  :class:`fastnn.Network` also raises if
        this is the last layer.

    References
    ----------
    N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever and R. Salakhutdinov, "Dropout: A Simple
    Way to Prevent Neural Networks from Overfitting", JMLR 15, 2014.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.Dropout(0.5)
    Dropout(rate=0.5, scaling='inverted')
    """

    rate: float | Schedule = setting(check=partial(schedules.get, number=fraction))
    scaling: str = setting(default="inverted", check=among("inverted", "test"))

    def check_settings(self) -> None:
        if not isinstance(self.rate, Schedule):
            return
        if self.scaling == "test":
            raise ValueError(
                f"scaling is 'test', which wants a constant rate for prediction, got {self.rate}"
            )
        if not (most := self.rate.upper_bound()) < 1:
            raise ValueError(f"rate is {self.rate}, which may reach {most:g}, wanted one below 1")

    def check(self, last: bool, loss: Loss, penalty: Regularizer | None) -> None:
        self.check_settings()  # the schedule's may have changed

    @property
    def note(self) -> str:
        return f"rate {self.rate}" + ("" if self.scaling == "inverted" else ", scaled at test")

    def forward(self, node: Node) -> None:
        if self.rate and node.training:
            y = node.output(node.width)
            node.kept["numbers"] = self._numbers(node.program)
            node.program.add_group([self._drop(node, node.x, y)], BATCH)
        elif self.rate and self.scaling == "test":
            y = node.output(node.width)
            node.program.add("dropout_mean", self.rate, node.x.rows, y.rows)
        else:
            node.pass_on()

    def formula(self, x: Formula, own: Mapping[str, np.ndarray]) -> Formula:
        if self.scaling == "inverted" or isinstance(self.rate, Schedule):
            return x
        return x * (1 - self.rate)

    def backward(self, node: Node, dy: Buffer, inputs: bool) -> Buffer:
        if not inputs or not self.rate:
            return dy
        dx = node.program.buffer(node.width)
        node.program.add_group([self._drop(node, dy, dx)], BATCH)
        return dx

    def _drop(self, node: Node, source: Buffer, target: Buffer) -> Call:
        rate, scale = node.kept["numbers"]
        return node.drop(rate, scale, FirstRow(), source.rows, target.rows)

    def _numbers(self, program: Program) -> tuple[Rate, Rate]:
        """Return the rate, and what is kept is multiplied by, as kernel arguments."""
        rate = schedules.as_argument(self.rate, program)
        if self.scaling == "test":
            return rate, 1.0
        if isinstance(rate, Number):
            (scale,) = program.numbers([("dropout_scale", (rate,))], 1)
            return rate, scale
        return rate, 1 / (1 - rate)
