"""What all losses have in common."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from fastnn.activations import Kernel
from fastnn.inputs import checks
from fastnn.inputs.settings import Configured


class Loss(Configured):
    """A loss: its settings, and facts about it.

    Attributes
    ----------
    name : str
        Kernels ``<name>_forward(prediction, target, *arguments, row_loss)`` and
        ``<name>_backward(prediction, target, *arguments, row_scale, d)`` compute it.
    aliases : tuple of str
        Other names for it, such as those in other libraries.
    target : {"real", "count", "binary", "sign", "class"}
        Numbers; numbers of at least 0; from 0 to 1; -1 or 1: each (n, targets); or labels (n,).
    fused : str or None
        The activation of the last layer that the loss contains: the kernels take the layer's
        output before it.
    warning : str or None
        What `fit` warns of.
    on_command_line : bool
        Whether ``python -m fastnn`` offers it; not inherited.

    Examples
    --------
    >>> from fastnn.losses import get
    >>> get("mae").target
    'real'
    """

    name = ""
    aliases: ClassVar[tuple[str, ...]] = ()
    target = "real"
    fused: ClassVar[str | None] = None
    warning: ClassVar[str | None] = None
    on_command_line = False

    @property
    def forward(self) -> Kernel:
        """The kernel of the losses of rows."""
        return f"{self.name}_forward"

    @property
    def backward(self) -> Kernel:
        """The kernel of the gradient."""
        return f"{self.name}_backward"

    @property
    def outputs(self) -> int:
        """How many of the network's outputs belong to one target."""
        return 1

    def arguments(self, n_outputs: int, dtype: DTypeLike) -> tuple[float | np.ndarray, ...]:
        """Return the kernels' arguments, numbers and arrays: the settings in their order."""
        return tuple(self.settings().values())

    def n_targets(self, n_outputs: int) -> int:
        """Return the columns of y for a network of `n_outputs` outputs; labels count as one.

        Raises
        ------
        ValueError
            If a network with so many outputs cannot have this loss.
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
        """Return `y` as the loss wants it, checked; see :mod:`fastnn.inputs.checks`."""
        if self.target == "class":
            return checks.as_class_labels(y, n_rows, n_outputs, name)
        check = {
            "real": checks.as_regression_targets,
            "count": checks.as_count_targets,
            "binary": checks.as_binary_targets,
            "sign": checks.as_sign_targets,
        }[self.target]
        return check(y, n_rows, self.n_targets(n_outputs), dtype, name)

    def class_weights(self, given: Any, y: np.ndarray, n_outputs: int) -> np.ndarray:
        """Return the weight of each row's class; see :meth:`fastnn.Network.fit`.

        Raises
        ------
        ValueError, TypeError
            If the loss has no classes, or `given` does not fit them.
        """
        classes: Sequence[int] = ()
        if self.target == "class":
            classes = range(n_outputs)
        elif n_outputs == 1:
            classes = {"binary": (0, 1), "sign": (-1, 1)}.get(self.target, ())
        weights = checks.as_class_weight(given, classes, f"loss {self.name!r}")
        labels = y.reshape(-1)
        places = np.searchsorted(classes, labels).clip(max=len(classes) - 1)
        if not np.array_equal(np.take(classes, places), labels):
            raise ValueError("class_weight wants targets of 0 and 1, got some between")
        return weights[places]
