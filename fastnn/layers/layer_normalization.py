"""Layer normalization."""

from collections.abc import Mapping

import numpy as np

from fastnn.engine.arguments import FlatPart, High, Low, Whole
from fastnn.engine.buffers import Buffer
from fastnn.engine.program import aligned, aligned_copy
from fastnn.formulas import Formula
from fastnn.inputs.checks import boolean, positive_float
from fastnn.inputs.settings import setting
from fastnn.layers.base import Factors, Layer, Node, Parameter
from fastnn.optimizers.updater import Updater


class LayerNormalization(Layer, Factors):
    """Normalize each row by the mean and variance of its features, then scale and shift these.

    ``gamma * (x - mean) / sqrt(variance + epsilon) + beta``.  Mean and variance are those of one
    row, in training and in prediction alike, so batches may have any size; variance is the sum of
    squares divided by the number of features.  gamma, which starts as ones, and beta, as zeros,
    have a number for each feature.

    Keras's definition, defaults and order of weights: gamma, beta.  PyTorch's default epsilon is
    1e-5; for the same results give both the same.

    A row of equal features, such as one of a single feature, becomes beta and passes no gradient
    on.

    Parameters
    ----------
    epsilon : float
    center, scale : bool
        Whether there is a beta, a gamma.
    learning_rate_factor : float of at least 0
        What the optimizer's learning rate is multiplied by for this layer's parameters.
    weight_decay_factor : float of at least 0, optional
        What :class:`~fastnn.AdamW`'s decay is multiplied by for them; see there.

    Raises
    ------
    ValueError, TypeError
        For settings out of range.

    References
    ----------
    J. L. Ba, J. R. Kiros and G. E. Hinton, "Layer Normalization", 2016 (arXiv:1607.06450).

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> network = fastnn.Network([fastnn.Dense(2), fastnn.LayerNormalization(epsilon=1e-12)])
    >>> network.build(2)
    >>> [array.shape for array in network.get_weights()]
    [(2, 2), (2,), (2,), (2,)]
    >>> network.set_weights([np.eye(2), [0, 0], [1, 10], [0, 5]])
    >>> network.predict([[1, 3], [700, -700]])
    array([[-1., 15.],
           [ 1., -5.]], dtype=float32)
    """

    epsilon: float = setting(default=1e-3, check=positive_float, kw_only=True)
    center: bool = setting(default=True, check=boolean, building=True)
    scale: bool = setting(default=True, check=boolean, building=True)

    def shapes(self, n_inputs: int) -> dict[str, tuple[int, ...]]:
        names = [*["gamma"] * self.scale, *["beta"] * self.center]
        return dict.fromkeys(names, (n_inputs,))

    def build(self, n_inputs: int, rng: np.random.Generator, dtype: np.dtype) -> list[Parameter]:
        return [
            Parameter(name, aligned_copy(np.full(shape, name == "gamma", dtype)))
            for name, shape in self.shapes(n_inputs).items()
        ]

    def forward(self, node: Node) -> None:
        program, width = node.program, node.width
        own = {parameter.name: parameter.value for parameter in node.parameters}
        gamma = Whole(own.get("gamma", np.ones(width, program.dtype)))
        beta = Whole(own.get("beta", np.zeros(width, program.dtype)))
        mean, inverse = program.buffer(), program.buffer()
        node.kept = {"gamma": gamma, "mean": mean, "inverse": inverse}
        given = node.x.rows, self.epsilon, gamma, beta
        y = node.output(width)
        program.add("layer_norm_forward", *given, mean.rows, inverse.rows, y.rows)

    def formula(self, x: Formula, own: Mapping[str, np.ndarray]) -> Formula:
        away = x - x.mean()
        scaled = away / ((away * away).mean() + self.epsilon).sqrt()
        if self.scale:
            scaled = scaled * own["gamma"]
        return scaled + own["beta"] if self.center else scaled

    def backward(self, node: Node, dy: Buffer, inputs: bool) -> Buffer:
        node.kept["dy"] = dy
        if not inputs:
            return dy
        dx = node.program.buffer(node.width)
        statistics = node.kept["mean"].rows, node.kept["inverse"].rows
        given = node.x.rows, *statistics, node.kept["gamma"], dy.rows
        node.program.add("layer_norm_backward", *given, dx.rows)
        return dx

    def update(self, node: Node, updater: Updater) -> None:
        if not node.parameters:
            return
        # Sums over all rows: here, where the threads have met, and not in `backward`.
        program, width, kept = node.program, node.width, node.kept
        gradients = {name: aligned((width,), program.dtype) for name in ("gamma", "beta")}
        given = node.x.batch, kept["mean"].batch, kept["inverse"].batch, kept["dy"].batch
        arrays = list(gradients.values())
        sums = "layer_norm_gradients", (*given, Low(), High(), *map(Whole, arrays))
        program.add_group(program.summed(sums, arrays, width), width)
        for parameter in node.parameters:
            gradient = FlatPart(gradients[parameter.name])
            program.add_group(parameter.update(gradient, updater), width)
