"""Pieces of C: types, literals, arrays, and the helpers that a file may need."""

from collections.abc import Iterable

import numpy as np

_WIDTH = 94
FUNCTIONS = {
    "abs": "fabs", "exp": "exp", "log": "log", "tanh": "tanh", "erf": "erf", "sqrt": "sqrt",
    "sin": "sin", "floor": "floor", "round": "rint",
}  # fmt: skip
"""Steps that are functions of math.h, which end in f for float."""

_MAXIMUM = """static {0} maximum{1}({0} a, {0} b)
{{
    return a < b ? b : a;
}}

"""
_MINIMUM = """static {0} minimum{1}({0} a, {0} b)
{{
    return a > b ? b : a;
}}

"""
_SOFTMAX = """static void softmax{1}({0} *x, int n)
{{
    {0} most = x[0], sum = 0;
    for (int j = 1; j < n; j++) if (x[j] > most) most = x[j];
    for (int j = 0; j < n; j++) {{
        x[j] = exp{1}(x[j] - most);
        sum += x[j];
    }}
    for (int j = 0; j < n; j++) x[j] /= sum;
}}

"""
HELPERS = {
    f"{name}{end}": text.format(kind, end)
    for kind, end in (("double", ""), ("float", "f"))
    for name, text in (("maximum", _MAXIMUM), ("minimum", _MINIMUM), ("softmax", _SOFTMAX))
} | {
    "code_of": """static double code_of(const char *text, const char *const *known, int count)
{
    const char *here = text ? text : "";
    for (int i = 0; i < count; i++) if (!strcmp(here, known[i])) return i + 1;
    return 0;
}

"""
}


def type_of(dtype: np.dtype) -> str:
    return {"float32": "float", "float64": "double"}.get(dtype.name, "int")


def literal(value: np.generic) -> str:
    """Return a number as C, which reads the same bits."""
    number = value.item()
    if isinstance(number, bool | int):
        return str(int(number))
    if np.isnan(number):
        return "NAN"
    if np.isinf(number):
        return "INFINITY" if number > 0 else "-INFINITY"
    return f"{value!s}f" if value.dtype == np.float32 else f"{number!r}"


def array(values: np.ndarray, kind: str, name: str) -> str:
    """Return the definition of an array, in rows of at most 100 columns."""
    if kind in ("signed char", "int", "long long"):
        listed = [str(int(each)) for each in values.ravel()]
    else:
        listed = [literal(each) for each in values.ravel()]
    return f"static const {kind} {name}[{values.size}] = {{\n{_lines(listed)}}};\n"


def texts(values: Iterable[str], name: str) -> str:
    """Return the definition of an array of texts."""
    listed = _lines([quoted(each) for each in values])
    return f"static const char *const {name}[] = {{\n{listed}}};\n"


def _lines(values: list[str]) -> str:
    """Return values between commas, in lines that are not much too long."""
    lines, length = [""], 0
    for value in values:
        if length and length + len(value) > _WIDTH:
            lines.append("")
            length = 0
        lines[-1] += f"{value}, "
        length += len(value) + 2
    return "".join(f"    {line.rstrip()}\n" for line in lines)


def quoted(text: str) -> str:
    """Return a text as a C string in ASCII."""
    bytes_ = text.encode("utf-8", "replace")
    return '"' + "".join(_character(byte) for byte in bytes_) + '"'


def _character(byte: int) -> str:
    plain = 32 <= byte < 127 and byte not in b'"\\?'
    return chr(byte) if plain else f"\\{byte:03o}"
