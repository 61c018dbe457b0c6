"""Formulas as Python that needs NumPy only."""

import base64
import textwrap

import numpy as np

from fastnn.formulas import BOOLEAN, TEXT, Formula, Formulas, steps

_CALLS = {
    "maximum": "np.maximum", "minimum": "np.minimum", "equal": "np.equal", "where": "np.where",
    "negative": "np.negative", "abs": "np.abs", "exp": "np.exp", "log": "np.log",
    "tanh": "np.tanh", "sqrt": "np.sqrt", "sin": "np.sin", "floor": "np.floor", "round": "np.rint",
    "isnan": "np.isnan", "sigmoid": "_sigmoid", "softmax": "_softmax", "erf": "_erf",
}  # fmt: skip
_SIGNS = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/", "greater": ">"}
_HELPERS = {
    "_sigmoid": '''
def _sigmoid(x):
    return 1 / (1 + np.exp(-x))
''',
    "_softmax": '''
def _softmax(x):
    powers = np.exp(x - x.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)
''',
    "_erf": '''
def _erf(x):
    return np.vectorize(math.erf, otypes=[float])(x).astype(x.dtype)
''',
    "_blocks": '''
def _blocks(x, w, b):
    count, size, _ = w.shape
    return (x.reshape(len(x), count, 1, size) @ w).reshape(len(x), -1) + b
''',
    "_codes": '''
def _codes(texts, known):
    places = {text: place for place, text in enumerate(known, 1)}
    return np.array([[places.get(text, 0)] for text in texts], float).reshape(-1, 1)
''',
    "_numbers": '''
def _numbers(column):
    column = np.asarray(column)
    if column.dtype.kind == "M":  # dates become days since 1970
        return ((column - np.datetime64(0, "D")) / np.timedelta64(1, "D")).reshape(-1, 1)
    return column.astype(float).reshape(-1, 1)
''',
    "_texts": '''
def _texts(column):
    return [_text(value) for value in column]


def _text(value):
    """Return the text of a category: 2 and 2.0 are the same, None is empty."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.number)):
        return "" if value is None else str(value)
    if value != value:
        return ""
    return repr(float(value)) if value % 1 else str(int(value))
''',
    "_array": '''
def _array(dtype, shape, text):
    return np.frombuffer(base64.b64decode(text), dtype).reshape(shape)
''',
}  # fmt: skip
_LINE = 96


class _Writer:
    """Lines of code for formulas, and what they need."""

    def __init__(self, given: Formulas):
        self.arrays: list[str] = []
        self.lines: list[str] = []
        self.helpers: set[str] = set()
        self._names: dict[int, str] = {}
        matrix = [each.name for each in given.inputs] == ["X"] and given.inputs[0].dtype != TEXT
        for source in given.inputs:
            self._names[id(source)] = self._line(self._read(source, matrix))
        for step in steps([*given.outputs.values()]):
            if id(step) not in self._names:
                self._names[id(step)] = self._step(step)
        self.outputs = {name: self._names[id(each)] for name, each in given.outputs.items()}

    def _read(self, source: Formula, matrix: bool) -> str:
        if not matrix:
            return f"{self._helper('_texts' if source.dtype == TEXT else '_numbers')}" + (
                f"(X[{source.name!r}])"
            )
        self.lines.append(f'X = np.asarray(X, "{source.dtype}")')
        self.lines.append(f"if X.ndim != 2 or X.shape[1] != {source.width}:")
        wanted = f"(rows, {source.width})"
        self.lines.append(f'    raise ValueError(f"X has shape {{X.shape}}, wanted {wanted}")')
        return "X"

    def _line(self, value: str) -> str:
        name = f"v{len(self._names)}"
        self.lines.append(f"{name} = {value}")
        return name

    def _helper(self, name: str) -> str:
        self.helpers.add(name)
        return name

    def _array(self, array: np.ndarray) -> str:
        """Return the name of an array; its bytes are written as text."""
        self._helper("_array")
        little = array.astype(array.dtype.newbyteorder("<"))
        text = textwrap.wrap(base64.b64encode(little.tobytes()).decode(), _LINE)
        lines = "".join(f'    "{line}"\n' for line in text or [""])
        name = f"_A{len(self.arrays)}"
        self.arrays.append(f'{name} = _array("{little.dtype.str}", {array.shape}, (\n{lines}))\n')
        return name

    def _operand(self, step: Formula) -> str:
        if step.op != "constant":
            return self._names[id(step)]
        (row,) = step.constants
        if len(row) == 1 and step.dtype != BOOLEAN and np.isfinite(row[0]):
            return f"np.{step.dtype}({row[0].item()!r})"
        return self._array(row)

    def _step(self, step: Formula) -> str:
        if step.op == "constant":
            return ""  # written where it is used
        given = [self._operand(each) for each in step.operands]
        if step.op in _SIGNS:
            return self._line(f" {_SIGNS[step.op]} ".join(given))
        if step.op in _CALLS:
            call = _CALLS[step.op]
            if call.startswith("_"):
                self._helper(call)
            return self._line(f"{call}({', '.join(given)})")
        return self._line(self._other(step, given))

    def _other(self, step: Formula, given: list[str]) -> str:
        x = given[0]
        if step.op == "codes":
            known = step.constants[0].tolist()
            return f"{self._helper('_codes')}({x}, {known!r})"
        if step.op == "labels":
            return f"CLASSES[{x}.astype(int)]"
        if step.op == "cast":
            return f'{x}.astype("{step.dtype}")'
        if step.op == "mean":
            return f"{x}.mean(axis=1, keepdims=True)"
        if step.op == "argmax":
            return f"{x}.argmax(axis=1)[:, None].astype({step.dtype.name!r})"
        if step.op == "concatenate":
            return f"np.concatenate([{', '.join(given)}], axis=1)"
        if step.op == "columns":
            return f"{x}[:, {self._array(step.constants[0])}]"
        own = [self._array(each.astype(step.dtype)) for each in step.constants]
        if step.op == "lookup":
            return f"{own[0]}[{x}.astype(int)].reshape(len({x}), -1)"
        if step.op == "dot":
            return f"{x} @ {own[0]} + {own[1]}"
        return f"{self._helper('_blocks')}({x}, {', '.join(own)})"


def content(given: Formulas) -> bytes:
    """Return a file's bytes."""
    writer = _Writer(given)
    imports = {"base64": "_array", "math": "_erf"}
    head = [f"import {name}\n" for name, need in imports.items() if need in writer.helpers]
    text = "".join(_HELPERS[name] + "\n" for name in _HELPERS if name in writer.helpers)
    labels = given.outputs.get("label")
    if labels is not None:
        classes = labels.constants[0]
        text += f"\nCLASSES = np.array({classes.tolist()!r})\n"
    body = "".join(f"        {line}\n" for line in writer.lines)
    pairs = ", ".join(f"{name!r}: {value}" for name, value in writer.outputs.items())
    return "".join(
        [
            f'"""{given.text.capitalize()}, written by fastnn; it needs NumPy only.\n\n',
            _usage(given),
            '"""\n\n',
            *head,
            "\n" * bool(head),
            "import numpy as np\n\n",
            text,
            "\n" + "".join(writer.arrays),
            "\n\ndef _outputs(X):\n",
            '    with np.errstate(all="ignore"):\n',
            body,
            f"        return {{{pairs}}}\n",
            *(_function(name, each) for name, each in given.outputs.items()),
        ]
    ).encode("utf-8", "backslashreplace")


def _usage(given: Formulas) -> str:
    names = [each.name for each in given.inputs]
    if names == ["X"] and given.inputs[0].dtype != TEXT:
        return f"X is an array of {given.inputs[0].width} columns.\n"
    text = f"X is a frame, or a dict of columns: {', '.join(map(repr, names))}"
    return textwrap.fill(text, 98).replace("\\", "\\\\").replace('"""', "'''") + ".\n"


def _function(name: str, output: Formula) -> str:
    called = {"probabilities": "predict_proba", "scores": "predict_scores"}.get(name, "predict")
    index = "[:, 0]" if name == "label" and output.width == 1 else ""
    what = {"label": "the classes", "predictions": "predictions"}.get(name, f"{name}")
    return (
        f"\n\ndef {called}(X):\n"
        f'    """Return {what} for the rows of X."""\n'
        f'    return _outputs(X)["{name}"]{index}\n'
    )
