"""Losses of classes and attributes."""

from typing import Any

import numpy as np

from fastnn.inputs.checks import as_cost_matrix, fraction, positive_float
from fastnn.inputs.settings import optional, setting
from fastnn.losses.base import Loss


class SoftmaxCrossEntropy(Loss):
    """``log(sum_k exp(f_k)) - f_y`` for labels y.

    With softmax in the last layer, which is fused with the loss, `predict` returns probabilities;
    with a linear last layer it returns logits.

    Parameters
    ----------
    label_smoothing : float in [0, 1)
        Wanted is ``1 - label_smoothing`` of the label plus ``label_smoothing / n`` of each of the
        n classes, as in Keras and PyTorch.

    Raises
    ------
    ValueError, TypeError
        For a smoothing out of range.

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
    on_command_line = True

    label_smoothing: float = setting(default=0.0, check=fraction)


class Logistic(Loss):
    """``sum_j log(1 + exp(f_j)) - y_j f_j`` for y from 0 to 1, each column an attribute.

    With sigmoid in the last layer, which is fused with the loss, `predict` returns probabilities;
    with a linear last layer it returns logits.
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
        For a margin that is not above 0.

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
    """The terms of :class:`MulticlassHinge` squared: ``sum_j max(0, f_j - f_y + margin)**2``.

    PyTorch's `MultiMarginLoss` with ``p=2`` also divides by the number of classes.  Keras's and
    scikit-learn's "squared_hinge" is another one, of single attributes.
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
        What taking class k for class y costs: at least 0, and 0 where they are the same.  Without
        it every mistake costs 1, and the loss is that of Crammer and Singer, which Keras calls
        "categorical_hinge".

    Raises
    ------
    ValueError, TypeError
        For a matrix that is not square, or not as above.

    Notes
    -----
    Source: Tsochantaridis, Joachims, Hofmann and Altun, "Large Margin Methods for Structured and
    Interdependent Output Variables", JMLR, 2005: the multiclass case, with margin rescaling.

    Examples
    --------
    >>> StructuredHinge([[0, 1], [5, 0]])
    StructuredHinge(cost=[[0.0, 1.0], [5.0, 0.0]])
    """

    name, target = "structured_hinge", "class"

    cost: Any = setting(default=None, check=optional(_cost))

    def n_targets(self, n_outputs):
        if self.cost is not None and len(self.cost) != n_outputs:
            raise ValueError(
                f"cost is for {len(self.cost)} classes, but the last layer has {n_outputs} units"
            )
        return super().n_targets(n_outputs)

    def arguments(self, n_outputs, dtype):
        return (np.array(1 - np.eye(n_outputs) if self.cost is None else self.cost, dtype),)
