"""The base class of losses."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from fastnn.activations import Kernel
from fastnn.inputs import checks, targets
from fastnn.inputs.settings import Configured, among, setting


class Loss(Configured):
    """Base of losses: the settings, and what training needs to know about the loss.

    Parameters
    ----------
    reduction : {"mean", "sum"}
        What the loss of many rows is: the mean of theirs, or their sum, as in Keras and PyTorch.
        See :mod:`fastnn.losses`.  It must be given by name, as to all losses.

    Attributes
    ----------
    name : str
        Kernels ``<name>_forward(prediction, target, *arguments, row_loss)`` and
        ``<name>_backward(prediction, target, *arguments, row_scale, d)`` compute it.
    aliases : tuple of str
        Other names, here or in other libraries.
    target : {"real", "count", "positive", "binary", "sign", "class"}
        What y holds: any numbers, numbers of at least 0, numbers above 0, numbers from 0 to 1, or
        -1 and 1, each of shape (n, targets), or (n,) for one target; or, for "class", integer
        labels (n,).
    fused : str or None
        The last layer's activation that the loss contains.  The kernels take the layer's output
        before that activation.
    activation : str or None
        An activation that the last layer must have, because the loss is of what it returns.
    warning : str or None
        A warning that `fit` gives.

    Examples
    --------
    >>> from fastnn.losses import get
    >>> get("mae").target
    'real'
    >>> from fastnn.losses import Huber
    >>> Huber(0.5, reduction="sum")
    Huber(delta=0.5, reduction='sum')
    """

    reduction: str = setting(default="mean", check=among("mean", "sum"), kw_only=True)

    name = ""
    aliases: ClassVar[tuple[str, ...]] = ()
    target = "real"
    fused: ClassVar[str | None] = None
    activation: ClassVar[str | None] = None
    warning: ClassVar[str | None] = None

    @property
    def forward(self) -> Kernel:
        """The kernel that computes the rows' losses."""
        return f"{self.name}_forward"

    @property
    def backward(self) -> Kernel:
        """The kernel that computes the gradient."""
        return f"{self.name}_backward"

    @property
    def last_activation(self) -> str | None:
        """The activation of a last layer for this loss, if it asks for one."""
        return self.fused or self.activation

    @property
    def outputs(self) -> int:
        """How many network outputs belong to one target."""
        return 1

    def arguments(self, n_outputs: int, dtype: DTypeLike) -> tuple[float | np.ndarray, ...]:
        """Return the kernels' own arguments, numbers and arrays; by default the settings."""
        return tuple(value for name, value in self.settings().items() if name != "reduction")

    @property
    def sums(self) -> bool:
        """Whether the loss of many rows is their sum."""
        return self.reduction == "sum"

    def reduced(self, total: Any, weight: Any) -> Any:
        """Return the loss of rows from the sums of their weighted losses and of their weights."""
        return total if self.sums else total / weight

    def of_perfect(self, y: np.ndarray) -> float:
        """Return the mean loss of the best predictions of `y`: 0, if a loss does not say more."""
        return 0.0

    def __repr__(self) -> str:
        settings = self.settings()
        if not self.sums:
            del settings["reduction"]
        told = ", ".join(f"{name}={value!r}" for name, value in settings.items())
        return f"{type(self).__name__}({told})"

    def n_targets(self, n_outputs: int) -> int:
        """Return the number of columns of y for a network with `n_outputs` outputs; 1 for labels.

        Raises
        ------
        ValueError
            If the loss does not work with that many outputs.
        """
        if self.target == "class":
            if n_outputs < 2:
                raise ValueError(
                    f"loss {self.name!r} wants a unit for each class in the last layer, at "
                    f"least 2, got {n_outputs}"
                )
            return 1
        if n_outputs % self.outputs:
            raise ValueError(
                f"loss {self.name!r} wants {self.outputs} units in the last layer for each "
                f"target, got {n_outputs}"
            )
        return n_outputs // self.outputs

    def as_targets(
        self, y: ArrayLike, n_rows: int, n_outputs: int, dtype: DTypeLike, name: str = "y"
    ) -> np.ndarray:
        """Return `y` checked, in the form that the loss wants; see :mod:`fastnn.inputs.targets`."""
        if self.target == "class":
            return checks.as_class_labels(y, n_rows, n_outputs, name)
        shape = n_rows, self.n_targets(n_outputs)
        return targets.as_targets(y, self.target, *shape, dtype, name)

    def class_weights(self, given: Any, y: np.ndarray, n_outputs: int) -> np.ndarray:
        """Return the weight of each row's class; see :meth:`fastnn.Network.fit`.

        Raises
        ------
        ValueError, TypeError
            If the loss has no classes, or `given` does not match them.
        """
        classes = self._classes(n_outputs)
        if not len(classes):
            raise ValueError(f"class_weight wants a loss of classes, loss {self.name!r} has none")
        places = self.places(y, n_outputs)
        if places is None:
            raise ValueError("class_weight wants targets of 0 and 1, got some between")
        counts = np.bincount(places, minlength=len(classes))
        return checks.as_class_weight(given, classes, counts)[places]

    def places(self, y: np.ndarray, n_outputs: int) -> np.ndarray | None:
        """Return the place of each row's class among all, or None if targets are not classes."""
        classes, labels = self._classes(n_outputs), y.reshape(-1)
        if not len(classes):
            return None
        places = np.searchsorted(classes, labels).clip(max=len(classes) - 1)
        return places if np.array_equal(np.take(classes, places), labels) else None

    def _classes(self, n_outputs: int) -> Sequence[int]:
        if self.target == "class":
            return range(n_outputs)
        return {"binary": (0, 1), "sign": (-1, 1)}.get(self.target, ()) if n_outputs == 1 else ()
