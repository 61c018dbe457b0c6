"""Formulas as C99: one function that predicts one row, without allocating."""

import re
import textwrap
from collections import Counter

import numpy as np

from fastnn.export.c_parts import FUNCTIONS, HELPERS, array, literal, texts, type_of
from fastnn.formulas import TEXT, Formula, Formulas, steps

_SIGNS = {
    "add": "+", "subtract": "-", "multiply": "*", "divide": "/", "greater": ">", "equal": "==",
}  # fmt: skip
_BY_COLUMN = {
    *_SIGNS, *FUNCTIONS, "maximum", "minimum", "where", "negative", "isnan", "cast", "columns",
    "constant", "sigmoid", "numbers",
}  # fmt: skip
"""Steps of which a column needs one column of each operand: written where they are used."""
_BLOCK = 64
"""Inputs whose products are summed before they are added to those before: a sum of 5,000 in one
order has ten times the rounding error in float32."""


class Writer:
    """Statements for formulas, with the arrays and helpers that they need.

    A step whose columns are needed once is written into the step that uses it.  Any other has a
    buffer until its last use.
    """

    def __init__(self, outputs: list[Formula], places: dict[int, str], int8: bool):
        self.arrays: list[str] = []
        self.lines: list[str] = []
        self.helpers: set[str] = set()
        self._int8, self._places = int8, places
        self._buffers: dict[int, str] = {}
        self._sizes: dict[str, tuple[str, int]] = {}
        every = steps(outputs)
        uses = Counter(id(each) for step in every for each in step.operands)
        uses.update(id(each) for each in outputs)
        often = {each for each, count in uses.items() if count > 1}
        often |= {
            id(each)
            for step in every
            for each in step.operands
            if step.op == "columns" or (step.op in _BY_COLUMN and step.width > each.width)
        }
        self._kept, self._is_kept = [], set()
        for each in every:
            costs = id(each) in often and not self._is_read(each)
            if id(each) not in places and (each.op not in _BY_COLUMN or costs):
                self._kept.append(each)
                self._is_kept.add(id(each))
        reads = [self._reads(each) for each in self._kept]
        last = {buffer: place for place, found in enumerate(reads) for buffer in found}
        for output in outputs:
            last |= dict.fromkeys(self._reads(output, whole=True), len(self._kept))
        free: dict[str, list[str]] = {}
        for place, step in enumerate(self._kept):
            self._write(step, self._claimed(step, free))
            for buffer in reads[place]:
                if last[buffer] == place:
                    name = self._buffers[buffer]
                    free.setdefault(self._sizes[name][0], []).append(name)

    def _is_read(self, step: Formula) -> bool:
        """Return whether a column costs nothing, however often it is used."""
        if step.op in ("columns", "cast"):
            return id(step.operands[0]) in self._is_kept or self._is_read(step.operands[0])
        return step.op in ("numbers", "constant")

    def _reads(self, step: Formula, whole: bool = False) -> set[int]:
        """Return the buffers that writing a step reads."""
        found, waiting = set(), [step] if whole else [*step.operands]
        while waiting:
            each = waiting.pop()
            if id(each) in self._is_kept:
                found.add(id(each))
            else:
                waiting += each.operands
        return found

    def _claimed(self, step: Formula, free: dict[str, list[str]]) -> str:
        kind = type_of(step.dtype)
        some = free.get(kind)
        name = some.pop() if some else f"{kind[0]}{len(self._sizes)}"
        width = max(step.width, self._sizes.get(name, ("", 0))[1])
        self._sizes[name] = kind, width
        self._buffers[id(step)] = name
        return name

    @property
    def buffers(self) -> list[str]:
        return [f"{kind} {name}[{width}];" for name, (kind, width) in self._sizes.items()]

    def column(self, step: Formula, j: str) -> str:
        """Return an expression for one column of a step."""
        if step.width == 1:
            j = "0"
        if id(step) in self._is_kept:
            return f"{self._buffers[id(step)]}[{j}]"
        if id(step) in self._places:
            return self._places[id(step)].replace("@", j)
        if step.op == "constant":
            return self._constant(step, j)
        if step.op == "columns":
            (index,) = step.constants
            if j.isdecimal():
                return self.column(step.operands[0], str(index[int(j)]))
            return self.column(step.operands[0], f"{self._array(index, 'int')}[{j}]")
        given = [self.column(each, j) for each in step.operands]
        return self._combined(step, given)

    def _combined(self, step: Formula, given: list[str]) -> str:
        end = "f" if step.dtype == np.float32 else ""
        if step.op in _SIGNS:
            return f"({given[0]} {_SIGNS[step.op]} {given[1]})"
        if step.op == "where":
            return f"({given[0]} ? {given[1]} : {given[2]})"
        if step.op == "negative":
            return f"(-{given[0]})"
        if step.op == "isnan":
            return f"isnan({given[0]})"
        if step.op == "cast":
            return f"({type_of(step.dtype)})({given[0]})"
        if step.op == "sigmoid":
            return f"(1 / (1 + exp{end}(-{given[0]})))"
        if step.op in FUNCTIONS:
            return f"{FUNCTIONS[step.op]}{end}({given[0]})"
        name = f"{step.op}{end}"
        self.helpers.add(name)
        return f"{name}({', '.join(given)})"

    def _constant(self, step: Formula, j: str) -> str:
        (row,) = step.constants
        if j.isdecimal() or (row == row[0]).all():
            return literal(row[int(j) if j.isdecimal() else 0])
        return f"{self._array(row, type_of(row.dtype))}[{j}]"

    def _array(self, values: np.ndarray, kind: str, name: str = "") -> str:
        name = name or f"k{len(self.arrays)}"
        self.arrays.append(array(values, kind, name))
        return name

    def loop(self, count: int, body: str, j: str = "j") -> str:
        if count == 1:
            return re.sub(rf"\b{j}\b", "0", body)
        return f"for (int {j} = 0; {j} < {count}; {j}++) {body}"

    def _write(self, step: Formula, out: str) -> None:
        if step.op in _BY_COLUMN:
            self.lines.append(self.loop(step.width, f"{out}[j] = {self._own(step)};"))
            return
        getattr(self, f"_{step.op}")(step, out)

    def _own(self, step: Formula) -> str:
        return self._combined(step, [self.column(each, "j") for each in step.operands])

    def _dot(self, step: Formula, out: str) -> None:
        (x,), n, kind = step.operands, step.width, type_of(step.dtype)
        w, b = step.constants
        start, scale = f"{self._array(b.astype(step.dtype), kind)}[j]", ""
        if self._int8:
            most = np.abs(w).max(axis=0).astype(np.float64) / 127
            w = np.rint(w / np.where(most > 0, most, 1))
            name = self._array(w, "signed char")
            scale = f"{self._array(most.astype(step.dtype), kind)}[j]"
        else:
            name = self._array(w.astype(step.dtype), kind)
        self.lines.append(self.loop(n, f"{out}[j] = {'0' if scale else start};"))
        cast, value = f"({kind})" if scale else "", f"const {kind} value = {self.column(x, 'i')};"
        blocks = x.width > _BLOCK and step.dtype == np.float32
        sums = "part" if blocks else out
        add = self.loop(n, f"{sums}[j] += value * {cast}{name}[i * {n} + j];")
        if blocks:
            self.lines += [
                f"for (int first = 0; first < {x.width}; first += {_BLOCK}) {{",
                f"    {kind} part[{n}] = {{0}};",
                f"    for (int i = first; i < first + {_BLOCK} && i < {x.width}; i++) "
                f"{{ {value} {add} }}",
                f"    {self.loop(n, f'{out}[j] += part[j];')}",
                "}",
            ]
        else:
            self.lines.append(self.loop(x.width, f"{{ {value} {add} }}", "i"))
        if scale:
            self.lines.append(self.loop(n, f"{out}[j] = {out}[j] * {scale} + {start};"))

    def _blocks(self, step: Formula, out: str) -> None:
        (x,), kind = step.operands, type_of(step.dtype)
        (count, size, units), (w, b) = step.constants[0].shape, step.constants
        w_name = self._array(w.astype(step.dtype), kind)
        b_name = self._array(b.astype(step.dtype), kind)
        self.lines.append(self.loop(step.width, f"{out}[j] = {b_name}[j];"))
        add = f"{out}[i / {size} * {units} + j] += value * {w_name}[i * {units} + j];"
        value = f"const {kind} value = {self.column(x, 'i')};"
        self.lines.append(self.loop(count * size, f"{{ {value} {self.loop(units, add)} }}", "i"))

    def _lookup(self, step: Formula, out: str) -> None:
        (x,), (table,) = step.operands, step.constants
        units = table.shape[1]
        name = self._array(table, type_of(table.dtype))
        copy = self.loop(units, f"{out}[i * {units} + j] = {name}[row * {units} + j];")
        value = f"const int row = (int){self.column(x, 'i')};"
        self.lines.append(self.loop(x.width, f"{{ {value} {copy} }}", "i"))

    def _concatenate(self, step: Formula, out: str) -> None:
        start = 0
        for part in step.operands:
            self.lines.append(
                self.loop(part.width, f"{out}[{start} + j] = {self.column(part, 'j')};")
            )
            start += part.width

    def _mean(self, step: Formula, out: str) -> None:
        (x,) = step.operands
        self.lines.append(f"{out}[0] = 0;")
        self.lines.append(self.loop(x.width, f"{out}[0] += {self.column(x, 'j')};"))
        self.lines.append(f"{out}[0] /= {x.width};")

    def _argmax(self, step: Formula, out: str) -> None:
        (x,), kind = step.operands, type_of(step.dtype)
        most = f"{kind} most = {self.column(x, '0')};"
        value = f"const {kind} value = {self.column(x, 'j')};"
        body = f"{{ {value} if (value > most) {{ most = value; {out}[0] = j; }} }}"
        self.lines.append(f"{out}[0] = 0;")
        self.lines.append(f"{{ {most} {self.loop(x.width, body)} }}")

    def _softmax(self, step: Formula, out: str) -> None:
        name = f"softmax{'f' if step.dtype == np.float32 else ''}"
        self.helpers.add(name)
        self.lines.append(
            self.loop(step.width, f"{out}[j] = {self.column(step.operands[0], 'j')};")
        )
        self.lines.append(f"{name}({out}, {step.width});")

    def _codes(self, step: Formula, out: str) -> None:
        self.helpers.add("code_of")
        (known,) = step.constants
        name = f"k{len(self.arrays)}"
        self.arrays.append(texts(known.tolist() or [""], name))
        text = self._places[id(step.operands[0])]
        self.lines.append(f"{out}[0] = code_of({text}, {name}, {len(known)});")


def content(given: Formulas, name: str, int8: bool) -> bytes:
    """Return a file's bytes."""
    numbers = [each for each in given.inputs if each.dtype != TEXT]
    words = [each for each in given.inputs if each.dtype == TEXT]
    places, start = {}, 0
    for source in numbers:
        places[id(source)] = f"x[@ + {start}]" if start else "x[@]"
        if source.width == 1:
            places[id(source)] = f"x[{start}]"
        start += source.width
    places |= {id(source): f"text[{place}]" for place, source in enumerate(words)}
    values = [each for each in given.outputs.values() if each.op != "labels"]
    label = given.outputs.get("label")
    chosen = label.operands[0] if label is not None and label.width == 1 else None
    wanted = values + ([] if chosen is None else [chosen])
    writer = Writer(wanted, places, int8)
    kind, width = type_of(values[0].dtype), sum(each.width for each in values)
    lines, begin = list(writer.lines), 0
    for each in values:
        lines.append(writer.loop(each.width, f"y[j + {begin}] = {writer.column(each, 'j')};"))
        begin += each.width
    if chosen is not None:
        lines.append(f"return (int){writer.column(chosen, '0')};")
    arguments = [f"const {type_of(each.dtype)} *x" for each in numbers[:1]]
    arguments += ["const char *const *text"] * bool(words) + [f"{kind} *y"]
    result = "void" if chosen is None else "int"
    head = f"{result} {name}({', '.join(arguments)})"
    about = [f"{given.text.capitalize()}, written by fastnn."]
    about += _about(numbers, words, values, label, name, int8)
    classes = [] if label is None else [_classes(name, label.constants[0])]
    comment = "\n".join(textwrap.fill(line, 94, subsequent_indent="  ") for line in about)
    unread = [each for each in ("x", "text") if not any(f"{each}[" in line for line in lines)]
    unread = [each for each in unread if f"*{each}" in head]
    body = writer.buffers + [f"(void){each};" for each in unread] + lines
    helpers = [HELPERS[each] for each in HELPERS if each in writer.helpers]
    needs = ["#include <math.h>\n"] + ["#include <string.h>\n"] * ("code_of" in writer.helpers)
    return "".join(
        [
            "/*\n" + comment.replace("*/", "* /").replace("/*", "/ *") + "\n*/\n\n",
            *needs,
            f"\n#define {name.upper()}_INPUTS {start}\n#define {name.upper()}_OUTPUTS {width}\n\n",
            f"{head};\n\n",
            *classes,
            *helpers,
            *writer.arrays,
            f"\n{head}\n{{\n",
            *(f"    {line}\n" for line in body if line),
            "}\n",
        ]
    ).encode("utf-8", "replace")


def _about(
    numbers: list[Formula], words: list[Formula], values: list[Formula], label: Formula | None,
    name: str, int8: bool,
) -> list[str]:  # fmt: skip
    found = [f"{name} predicts one row. It allocates nothing, and calls the C library only."]
    named = [f"{place} {each.name}" for place, each in enumerate(numbers)]
    count = sum(each.width for each in numbers)
    if numbers:
        by_name = count == len(named) and (words or count > 1 or numbers[0].name != "X")
        hint = " NaN is a missing one; dates are days since 1970."
        listed = f": {', '.join(named)}.{hint}" if by_name else "."
        found.append(f"x: {count} numbers{listed}")
    if words:
        listed = ", ".join(f"{place} {each.name}" for place, each in enumerate(words))
        found.append(
            f"text: {len(words)} texts in UTF-8: {listed}. NULL or an empty text is a missing one."
        )
    found.append(f"y: {sum(each.width for each in values)} numbers, which it writes.")
    if label is not None and label.width == 1:
        found.append(f"It returns the place of the class in {name}_classes.")
    if int8:
        found.append("Weights are whole numbers of 8 bits, with a scale for each unit.")
    return found


def _classes(name: str, classes: np.ndarray) -> str:
    if classes.dtype.kind in "UTO":
        listed = texts(classes.tolist(), f"{name}_classes").removeprefix("static ")
        head = listed.split(" = ")[0]
        return f"extern {head};\n{listed}\n"
    kind = "double" if classes.dtype.kind == "f" else "long long"
    values = classes.astype(np.float64 if kind == "double" else np.int64)
    listed = array(values, kind, f"{name}_classes").removeprefix("static ")
    return f"extern const {kind} {name}_classes[{len(values)}];\n{listed}\n"
