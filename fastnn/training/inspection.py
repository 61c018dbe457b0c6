"""Methods of a network that look into it."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastnn.training import gradients, prediction, sampling


class Inspected:
    """Base of :class:`fastnn.Network`: outputs, gradients, and predictions with noise."""

    model: Any

    def layer_outputs(self, X: ArrayLike) -> list[np.ndarray]:
        """Return every layer's outputs for the rows of `X`; the last are what `predict` returns.

        Examples
        --------
        >>> import numpy as np, fastnn
        >>> network = fastnn.Network([fastnn.Dense(5, "relu"), fastnn.Dense(2)])
        >>> network.build(3)
        >>> [outputs.shape for outputs in network.layer_outputs(np.ones((4, 3)))]
        [(4, 5), (4, 2)]
        """
        return prediction.layer_outputs(self.model, X)

    def gradients(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        penalties: bool = True,
    ) -> list[np.ndarray]:
        """Return the gradient of the training loss in each parameter, and change nothing.

        They are what the optimizer would be given for one batch of all these rows, before it clips
        them, from the kernels that train: of the loss with its `reduction`, with the penalties of
        the gradient.  Dropout and DropConnect have the masks of the next update, and batch
        normalization the statistics of these rows.

        Parameters
        ----------
        X, y, sample_weight
            As in :meth:`Network.evaluate`; `preprocessing` is applied.
        penalties : bool
            Add the gradients of penalties.  Those that change weights by themselves (proximal,
            shrink) have none, and raise.

        Returns
        -------
        list of arrays
            In the order and shapes of :meth:`Network.get_weights`.  What no optimizer changes,
            such as moving averages, has 0.

        Raises
        ------
        ValueError, TypeError
            As in :meth:`Network.fit`.
        FloatingPointError
            If the loss is not finite.

        Notes
        -----
        Source: D. E. Rumelhart, G. E. Hinton and R. J. Williams, "Learning Representations by
        Back-Propagating Errors", Nature 323, 1986.  :mod:`fastnn.flow` computes the same in steps.

        Examples
        --------
        >>> import numpy as np, fastnn
        >>> network = fastnn.Network([fastnn.Dense(1, kernel_initializer="zeros")])
        >>> network.build(2)
        >>> network.gradients([[1.0, 2.0]], [3.0])  # 2 (f - y) x, and 2 (f - y)
        [array([[ -6.],
               [-12.]], dtype=float32), array([-6.], dtype=float32)]
        """
        return gradients.gradients(self.model, X, y, sample_weight, penalties)

    def predict_mc(
        self, X: ArrayLike, *, passes: int = 100, seed: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Monte Carlo dropout: predict with the noise left on; return mean and spread of outputs.

        Each pass draws new masks of `Dropout` and `drop_connect`, as training does (PyTorch's
        ``train()``, Keras's ``training=True``), while batch normalization uses its moving averages.
        The mean averages over networks with units or weights dropped, numerically instead of by one
        rescaled pass as :meth:`Network.predict` does; the spread says how much they disagree.

        Parameters
        ----------
        X : array-like
            As in :meth:`Network.predict`.
        passes : int
            At least 2.
        seed : int, optional
            Seeds the masks; by default the network's own.  The same seed gives the same bits on any
            number of threads.

        Returns
        -------
        mean, std : arrays, (n, n_outputs)
            In the network's dtype; `std` divides by ``passes - 1``.

        Raises
        ------
        ValueError, TypeError
            Without `Dropout` or `drop_connect`, for fewer than 2 passes, or as in
            :meth:`Network.predict`.

        Notes
        -----
        Rows have masks of their own in `Dropout`; with `drop_connect`, as in training, 256 rows at
        a time share one.  A rate with a schedule is that of the next update.

        Source: Y. Gal and Z. Ghahramani, "Dropout as a Bayesian Approximation", ICML 2016.

        Examples
        --------
        >>> import numpy as np, fastnn
        >>> layers = [fastnn.Dense(50, "relu"), fastnn.Dropout(0.5), fastnn.Dense(1)]
        >>> network = fastnn.Network(layers)
        >>> network.build(3)
        >>> mean, std = network.predict_mc(np.ones((4, 3)), passes=50)
        >>> mean.shape, std.shape, bool((std > 0).all())
        ((4, 1), (4, 1), True)
        """
        return sampling.predict_mc(self.model, X, passes, seed)
