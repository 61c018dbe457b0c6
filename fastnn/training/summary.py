"""What is shown of a model: a line, and the table of its layers as text and as HTML."""

from html import escape

from fastnn.training.model import Model

_MANY = 6
"""A line leaves out the layers in the middle if there are more."""
_LONG = 72
_CELL = "border: 0; border-bottom: 1px solid currentColor; padding: 0.2em 0.8em; "


def line(model: Model) -> str:
    """Return layers, loss, optimizer and how far training is, in short."""
    layers = [_short(layer) for layer in model.layers]
    if len(layers) > _MANY:
        layers[3:-2] = [f"... {len(layers) - 5} more ..."]
    parts = f"loss={_short(model.loss)}, optimizer={_short(model.optimizer)}"
    return f"[{', '.join(layers)}], {parts}, {_progress(model)}"


def _short(part: object) -> str:
    """Return the representation of a part, without its last settings if there are many."""
    shown = " ".join(repr(part).split())
    return shown if len(shown) <= _LONG else f"{shown[: _LONG - 4]}...)"


def _progress(model: Model) -> str:
    if model.epochs or model.updates:
        done, what = (model.epochs, "epoch") if model.epochs else (model.updates, "update")
        return f"fitted for {done:,} {what}{'s' * (done > 1)}"
    return f"not fitted, built for {model.n_inputs} inputs" if model.built else "not fitted"


def text(model: Model) -> str:
    """Return the table: a line for each layer, and a line of totals."""
    rows = _rows(model)
    wide = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [
        f"{name:<{wide[0]}}  {setting:<{wide[1]}}  {output:>{wide[2]}}  {count:>{wide[3]}}"
        for name, setting, output, count in rows
    ]
    return "\n".join([*lines, _total(model)])


def html(model: Model) -> str:
    """Return the table for a notebook, in the notebook's own colors."""
    head, *rows = [
        "".join(
            f'<{tag} style="{_CELL}text-align: {side}">{escape(cell)}</{tag}>'
            for cell, side in zip(row, ("left", "left", "right", "right"), strict=True)
        )
        for tag, row in zip(["th"] + ["td"] * len(model.layers), _rows(model), strict=True)
    ]
    body = "".join(f'<tr style="background: none">{row}</tr>' for row in rows)
    return (
        '<table style="border-collapse: collapse; color: inherit; background: none">'
        f'<thead><tr style="background: none">{head}</tr></thead><tbody>{body}</tbody></table>'
        f"<div>{escape(_total(model))}, {escape(_progress(model))}</div>"
    )


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
    return f"{count}, {model.policy}, loss {model.loss.name}, {model.optimizer}"
