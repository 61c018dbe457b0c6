"""Losses for class labels and binary attributes."""

from typing import Any

import numpy as np

from fastnn.inputs.checks import as_cost_matrix, fraction, positive_float
from fastnn.inputs.settings import optional, setting
from fastnn.losses.base import Loss


class SoftmaxCrossEntropy(Loss):
    """``log(sum_k exp(f_k)) - f_y`` for labels y.

    If the last layer has softmax, which is fused with the loss, `predict` returns probabilities.
    If it is linear, `predict` returns logits.

    Parameters
    ----------
    label_smoothing : float in [0, 1)
        Replace the label by a distribution: ``1 - label_smoothing`` on the label, plus
        ``label_smoothing / n`` on each of the n classes, as in Keras and PyTorch.

    Raises
    ------
    ValueError, TypeError
        If `label_smoothing` is out of range.

    Notes
    -----
    Source: Bridle, 1990; smoothing: Szegedy et al., "Rethinking the Inception Architecture for
    Computer Vision", CVPR 2016.

    Examples
    --------
    >>> SoftmaxCrossEntropy(0.1)
    SoftmaxCrossEntropy(label_smoothing=0.1)
    """

    name, target, fused = "softmax_cross_entropy", "class", "softmax"
    aliases = "cross_entropy", "sparse_categorical_crossentropy"

    label_smoothing: float = setting(default=0.0, check=fraction)


class ProbabilityCrossEntropy(Loss):
    """``-log f_y`` for labels y and probabilities f, the outputs of a last layer with softmax.

    Its gradient in the probabilities, ``-e(y) / f_y`` with ``e(y)`` 1 at the label and 0 elsewhere,
    goes back through softmax as a step of its own.  :class:`SoftmaxCrossEntropy` has the same value
    and does both steps at once, ``f - e(y)``, which is faster and stays finite where `f` rounds to
    0: train with that one.  This one is for looking at the steps, as :mod:`fastnn.flow` does.

    Notes
    -----
    PyTorch's `NLLLoss` wants logarithms of probabilities.  Keras's
    `SparseCategoricalCrossentropy` is this loss, but replaces probabilities below 1e-7 by 1e-7,
    and so loses their gradients; here the loss of a probability of 0 is infinite, and training
    raises FloatingPointError.

    Source: C. M. Bishop, "Pattern Recognition and Machine Learning", 2006, section 4.3.4.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> layers = [fastnn.Dense(2, "softmax", kernel_initializer="zeros")]
    >>> network = fastnn.Network(layers, loss="probability_cross_entropy", dtype="float64")
    >>> network.build(3)
    >>> round(network.evaluate(np.eye(3), [0, 1, 1]), 4)  # log(2)
    0.6931
    """

    name, target, activation = "probability_cross_entropy", "class", "softmax"


class Logistic(Loss):
    """``sum_j log(1 + exp(f_j)) - y_j f_j`` for y from 0 to 1, each column an attribute.

    If the last layer has sigmoid, which is fused with the loss, `predict` returns probabilities.
    If it is linear, `predict` returns logits.
    """

    name, target, fused = "logistic", "binary", "sigmoid"
    aliases = "binary_crossentropy", "attribute_logistic"


class MulticlassHinge(Loss):
    """``max(0, f_j - f_y + margin)``, summed over the classes j other than the label y.

    Parameters
    ----------
    margin : float
        Above 0.  PyTorch's `MultiMarginLoss` also divides by the number of classes.

    Raises
    ------
    ValueError, TypeError
        If `margin` is not above 0.

    Notes
    -----
    Source: Weston and Watkins, "Support Vector Machines for Multi-Class Pattern Recognition",
    ESANN 1999.  The highest score is the predicted class.

    Examples
    --------
    >>> MulticlassHinge(0.5)
    MulticlassHinge(margin=0.5)
    """

    name, target = "multiclass_hinge", "class"
    aliases = ("weston_watkins",)

    margin: float = setting(default=1.0, check=positive_float)


class MulticlassSquaredHinge(MulticlassHinge):
    """:class:`MulticlassHinge` with squared terms: ``sum_j max(0, f_j - f_y + margin)**2``.

    PyTorch's `MultiMarginLoss` with ``p=2`` also divides by the number of classes.  "squared_hinge"
    in Keras and scikit-learn is a different loss, for single attributes.
    """

    name = "multiclass_squared_hinge"


class AttributeHinge(Loss):
    """``sum_j max(0, 1 - y_j f_j)`` for y of -1 and 1, each column an attribute."""

    name, target = "attribute_hinge", "sign"
    aliases = ("hinge",)


def _cost(given: Any, name: str) -> list[list[float]]:
    return as_cost_matrix(given, name).tolist()


class StructuredHinge(Loss):
    """``max_k (cost[y, k] + f_k) - f_y`` for labels y.

    Parameters
    ----------
    cost : array-like, (n_classes, n_classes), optional
        ``cost[y, k]`` is the cost of predicting class k instead of class y: at least 0, and 0 on
        the diagonal.  By default every mistake costs 1, which gives the loss of Crammer and Singer,
        "categorical_hinge" in Keras.

    Raises
    ------
    ValueError, TypeError
        If `cost` is not a square matrix of such numbers.

    Notes
    -----
    Source: Tsochantaridis, Joachims, Hofmann and Altun, "Large Margin Methods for Structured and
    Interdependent Output Variables", JMLR, 2005 (multiclass case, with margin rescaling).

    Examples
    --------
    >>> StructuredHinge([[0, 1], [5, 0]])
    StructuredHinge(cost=[[0.0, 1.0], [5.0, 0.0]])
    """

    name, target = "structured_hinge", "class"

    cost: Any = setting(default=None, check=optional(_cost))

    def n_targets(self, n_outputs):
        if len(self._matrix(n_outputs)) != n_outputs:
            raise ValueError(
                f"cost is for {len(self.cost)} classes, but the last layer has {n_outputs} units"
            )
        return super().n_targets(n_outputs)

    def arguments(self, n_outputs, dtype):
        return (self._matrix(n_outputs).astype(dtype),)

    def _matrix(self, n_outputs):
        if self.cost is None:
            return 1 - np.eye(n_outputs)
        return as_cost_matrix(self.cost, "cost")  # again: it may have been changed in place
