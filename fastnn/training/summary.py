"""The table of a network's layers."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastnn.network import Network


def text(network: "Network") -> str:
    """Return a line for each layer, in columns, and one for all of them."""
    rows = _rows(network)
    wide = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [
        f"{name:<{wide[0]}}  {setting:<{wide[1]}}  {output:>{wide[2]}}  {count:>{wide[3]}}"
        for name, setting, output, count in rows
    ]
    return "\n".join([*lines, _total(network)])


def _rows(network: "Network") -> list[tuple[str, str, str, str]]:
    rows = [("layer", "setting", "output", "parameters")]
    width = network._model().n_inputs if network.built else 0
    for number, layer in enumerate(network.layers):
        count = "not built"
        if network.built:
            count = f"{sum(p.value.size for p in network._parameters[number]):,}"
        width = layer.width(width)
        rows.append((type(layer).__name__, layer.note, str(width or "inputs"), count))
    return rows


def _total(network: "Network") -> str:
    parameters = network._all_parameters()
    total = sum(parameter.value.size for parameter in parameters)
    fixed = sum(parameter.value.size for parameter in parameters if not parameter.trained)
    count = f"{total:,} parameters" + (f" ({fixed:,} not trained)" if fixed else "")
    return f"{count}, {network.dtype.name}, loss {network.loss.name}, {network.optimizer}"
