"""The networks that an estimator has made: with what, and their weights."""

from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from fastnn.network import Network
from fastnn.sklearn import building

_STRUCTURE = (
    "loss", "hidden_layer_sizes", "activation", "layers", "dropout", "batch_normalization",
    "bias_regularizer", "kernel_constraint", "metrics", "n_members", "dtype", "target_transform",
    "quantiles", "n_bins",
)  # fmt: skip
"""Parameters that a fitted network was made with, and that a continued fit cannot change."""


class Made:
    """What of an estimator is about its networks."""

    coefs_: list[np.ndarray]
    intercepts_: list[np.ndarray]
    dtype: Any
    networks_: list[Network]
    _made_with: dict[str, Any]
    _loss: Any

    def _structure(self) -> dict[str, Any]:
        """Return the parameters that say what network to make."""
        kept = {name: getattr(self, name) for name in _STRUCTURE if hasattr(self, name)}
        return kept

    def _check_unchanged(self) -> None:
        """Raise if a fitted network is to go on with parameters that would make another one."""
        for name, value in self._structure().items():
            before = self._made_with[name]
            if name == "hidden_layer_sizes" and np.array_equal(np.ravel(value), np.ravel(before)):
                continue
            if value is not before and repr(value) != repr(before):
                raise ValueError(
                    f"{name} is {value!r}, but the network that warm_start or partial_fit would "
                    f"continue was made with {before!r}; a clone of the estimator starts anew"
                )

    def of_fit(self, name: str) -> Any:
        """Return a parameter as it was when the network was made, or as it is before a fit."""
        return getattr(self, "_made_with", {}).get(name, getattr(self, name))

    def settle(self) -> None:
        """Put weights that the caller has set into the network, and make it if there is none."""
        if not hasattr(self, "networks_"):
            self._made_with = self._structure()
            (loss, n_outputs), rng = self._loss(), check_random_state(0)
            size = len(self.coefs_[0]), n_outputs, self.dtype or self.coefs_[0].dtype
            self.networks_ = [building.network(self, loss, *size, rng)]
        self._sync()

    def _link(self) -> None:
        """Show the first network's weights: the very arrays, so that changes of them count."""
        for name, value in self._shown(self.networks_).items():
            setattr(self, name, value)

    @staticmethod
    def _shown(networks: list[Network]) -> dict[str, Any]:
        """Return the attributes that hold weights."""
        dense = building.dense_parameters(networks[0])
        intercepts = [
            np.zeros_like(kernel.value[0]) if bias is None else bias.value for kernel, bias in dense
        ]
        coefs = [kernel.value for kernel, _ in dense]
        return {"networks_": networks, "coefs_": coefs, "intercepts_": intercepts}

    def _sync(self) -> None:
        """Put weights that the caller has set into the network."""
        shown, changed = [*self.coefs_, *self.intercepts_], False
        dense = building.dense_parameters(self.networks_[0])
        own = [kernel for kernel, _ in dense] + [bias for _, bias in dense]
        if len(shown) != len(own):
            raise ValueError(
                f"coefs_ and intercepts_ have {len(self.coefs_)} and {len(self.intercepts_)} "
                f"arrays, wanted {len(dense)} of each"
            )
        for array, parameter in zip(shown, own, strict=True):
            if parameter is None:
                if np.any(array):
                    raise ValueError("intercepts_ has numbers for a layer that has no bias")
                continue
            if array is parameter.value:
                continue
            changed = True
            array = np.asarray(array)
            if array.shape != parameter.value.shape:
                raise ValueError(
                    f"coefs_ or intercepts_ has an array of shape {array.shape}, wanted "
                    f"{parameter.value.shape}"
                )
            if not np.array_equal(array, parameter.value):
                if not parameter.value.flags.writeable:  # a memory map of joblib's
                    with self.networks_[0].model.writing("coefs_"):
                        pass  # now the parameters are the network's own
                    return self._sync()
                parameter.value[...] = array
        if changed:
            self._link()
