"""PyTorch's modules and state dicts as networks."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fastnn import activations
from fastnn.importing.chain import Chain, refuse
from fastnn.importing.torch_graph import traced
from fastnn.importing.torch_layers import add_all, array
from fastnn.inputs import extras
from fastnn.losses import Loss
from fastnn.network import Network


@np.errstate(all="ignore")
def from_torch(
    module: Any,
    *,
    loss: str | Loss | None = None,
    optimizer: Any = None,
    activation: Any = None,
    output_activation: Any = None,
) -> Network:
    """Return a network with the layers and weights of a PyTorch module.

    It predicts what ``module.eval()`` does, to rounding, in the weights' dtype, and its training
    goes on from these weights, with a new state of the optimizer.  The module stays as it is.

    A module is one of `Linear`, `BatchNorm1d`, `LayerNorm`, `Dropout`, `Flatten`, `Identity` and
    activations, a `Sequential` of them, however nested, or any other whose `forward`, as
    ``torch.fx`` traces it, calls them or the functions of the same names one after the other.
    Parameters without ``requires_grad`` get a learning-rate factor of 0.

    Parameters
    ----------
    module : torch.nn.Module, or dict of str to tensor
        A dict is the state dict of a chain of `Linear` layers, in order.
    loss : str or Loss, optional
        "softmax_cross_entropy" by default if the last layer is softmax, "logistic" if it is
        sigmoid, else "mse".
    optimizer : str or Optimizer, optional
        As in :class:`fastnn.Network`.
    activation : str or Activation, or list of them
        For a state dict, which does not have them: what follows the hidden layers, all or each.
    output_activation : str or Activation
        For a state dict: what follows the last layer; "linear" is nothing.

    Raises
    ------
    ValueError
        For a layer that fastnn cannot compute or train in the same way, naming its place and the
        reason.
    TypeError
        For what is neither a module nor a dict of tensors.
    ImportError
        For a module, without PyTorch.

    Notes
    -----
    Losses here are sums over the targets, PyTorch's `MSELoss` is their mean: see
    :mod:`fastnn.losses`.  Batch normalization tracks the variance, PyTorch's that times
    m / (m - 1) in batches of m rows.  `Softplus` is PyTorch's up to its threshold of 20; beyond it
    adds at most 2.1e-9, which PyTorch leaves out.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> weights = {"0.weight": np.ones((4, 3)), "0.bias": np.zeros(4), "2.weight": np.ones((1, 4))}
    >>> network = fastnn.from_torch(weights, activation="relu", output_activation="linear")
    >>> network.predict([[1, 2, 3], [-1, -2, -3]])
    array([[24.],
           [ 0.]])
    """
    chain = Chain()
    if isinstance(module, Mapping):
        _read_weights(chain, module, activation, output_activation)
    else:
        for name, given in {
            "activation": activation,
            "output_activation": output_activation,
        }.items():
            if given is not None:
                raise ValueError(f"{name} is for a state dict; a module has its own")
        nn = extras.load("torch.nn", "fastnn.from_torch", "torch")
        if not isinstance(module, nn.Module):
            raise TypeError(
                f"module is a {type(module).__name__}, wanted a torch.nn.Module or a state dict"
            )
        add_all(chain, traced(module))
    return chain.network("module", loss, optimizer)


def _read_weights(chain: Chain, state: Mapping[Any, Any], hidden: Any, last: Any) -> None:
    """Add the layers of a state dict."""
    groups: dict[str, dict[str, np.ndarray]] = {}
    for key, value in state.items():
        if not (isinstance(key, str) and hasattr(value, "shape")):
            raise TypeError(
                f"module[{key!r}] is a {type(value).__name__}, wanted a state dict: names of "
                "parameters and tensors"
            )
        layer, _, name = key.rpartition(".")
        groups.setdefault(layer, {})[name] = array(f"module[{key!r}]", value)
    for layer, found in groups.items():
        shapes = {name: each.shape for name, each in found.items()}
        ranks = {name: len(shape) for name, shape in shapes.items()}
        if ranks not in ({"weight": 2}, {"weight": 2, "bias": 1}):
            reason = f"it has {shapes}, wanted those of Linear alone: give the module itself"
            refuse(f"module[{f'{layer}.*'!r}]", reason)
    if not groups:
        refuse("module", "it has no layer with weights")
    functions = _functions(hidden, last, len(groups))
    for (layer, found), function in zip(groups.items(), functions, strict=True):
        where = f"module[{f'{layer}.*'!r}]"
        chain.dense(where, found["weight"].T, found.get("bias"))
        chain.activation(where, function)


def _functions(hidden: Any, last: Any, count: int) -> list[activations.Activation]:
    """Return the activation after each of the layers of a state dict."""
    if last is None or (hidden is None and count > 1):
        name = "activation" if hidden is None and count > 1 else "output_activation"
        raise ValueError(
            f"{name} is not given, and a state dict does not say what follows its layers: wanted "
            'a name such as "relu", or "linear" for nothing'
        )
    listed = isinstance(hidden, Sequence) and not isinstance(hidden, str)
    given = list(hidden) if listed else [hidden] * (count - 1)
    if len(given) != count - 1:
        raise ValueError(f"activation has {len(given)} entries for {count - 1} hidden layers")
    found = [activations.get(each, "activation") for each in given]
    return [*found, activations.get(last, "output_activation")]
