"""The table of a model's layers."""

from fastnn.training.model import Model


def text(model: Model) -> str:
    """Return the table: a line for each layer, and a line of totals."""
    rows = _rows(model)
    wide = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [
        f"{name:<{wide[0]}}  {setting:<{wide[1]}}  {output:>{wide[2]}}  {count:>{wide[3]}}"
        for name, setting, output, count in rows
    ]
    return "\n".join([*lines, _total(model)])


def _rows(model: Model) -> list[tuple[str, str, str, str]]:
    rows = [("layer", "setting", "output", "parameters")]
    width = model.n_inputs if model.built else 0
    for number, layer in enumerate(model.layers):
        count = "not built"
        if model.built:
            count = f"{sum(p.value.size for p in model.parameters[number]):,}"
        width = layer.width(width)
        rows.append((type(layer).__name__, layer.note, str(width or "inputs"), count))
    return rows


def _total(model: Model) -> str:
    parameters = model.all_parameters()
    total = sum(parameter.value.size for parameter in parameters)
    fixed = sum(parameter.value.size for parameter in parameters if not parameter.trained)
    count = f"{total:,} parameters" + (f" ({fixed:,} not trained)" if fixed else "")
    return f"{count}, {model.dtype.name}, loss {model.loss.name}, {model.optimizer}"
