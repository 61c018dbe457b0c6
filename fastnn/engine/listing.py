"""A program as text: one line per step, with its time if it was measured."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from textwrap import wrap

import numpy as np

from fastnn.engine.arguments import Arg, Part, PartColumns
from fastnn.engine.buffers import Columns
from fastnn.engine.steps import BATCH, EVERY, Group, Purpose, Step

_WIDTH = 100
_JOIN = "\N{NO-BREAK SPACE}"


@dataclass
class Line:
    """The description of one row of the step table."""

    phase: int
    purpose: Purpose
    kernel: str
    threads: str
    """How the threads share the work."""
    arrays: str
    """The kernel's arrays: their names, shapes and, unless it is a share of the rows, what a thread
    gets of each.  "own" arrays exist once per thread."""
    seconds: float | None = None
    """The time per epoch, if measured."""


@dataclass
class Times:
    """The times of an epoch's steps in seconds: each thread's own time, averaged over threads."""

    steps: np.ndarray
    """One time per row of the step table."""
    barriers: float
    """The time spent waiting for other threads."""
    batches: int

    @property
    def total(self) -> float:
        return float(self.steps.sum() + self.barriers)


@dataclass(repr=False)
class Listing:
    """The steps of a program, for people to read: ``print(listing)``."""

    groups: list[tuple[int, Group | None]]
    dtype: np.dtype
    batch_size: int
    n_threads: int
    layers: Sequence[str] = field(default_factory=list)
    """The layers' titles."""
    times: Times | None = None

    def __repr__(self) -> str:
        found = self.lines
        kernels, shares = zip(*((line.kernel, line.threads) for line in found), strict=True)
        widths = [max(map(len, ("kernel", *kernels))), max(map(len, ("threads share", *shares)))]
        return "\n".join([self._title, *self._body(found, widths), *self._sums(found)])

    @property
    def lines(self) -> list[Line]:
        """The lines of the steps, in the order of the step table."""
        found: list[Line] = []
        seconds = iter([] if self.times is None else self.times.steps)
        for phase, group in self.groups:
            if group is None:
                what = "ends the run on a loss that is not finite, or a stop"
                time = next(seconds, None)
                found.append(Line(phase, Purpose("loss"), "(check)", "nothing", what, time))
                continue
            parts = f" in {group.parts} parts" if group.parts > self.n_threads else ""
            shared = _shared(group.steps) + parts
            for number, step in enumerate(group.steps):
                kernel = f"& {step.name}" if number else step.name
                what, time = self._arrays(step), next(seconds, None)
                found.append(Line(phase, group.purpose, kernel, shared, what, time))
        return found

    @property
    def _title(self) -> str:
        barriers = len({phase for phase, _ in self.groups})
        threads = "1 thread" if self.n_threads == 1 else f"{self.n_threads} threads"
        return (
            f"A batch: {self.batch_size:,} rows, {self.dtype}, {threads}, "
            f"{len(self.lines)} steps, {barriers} barriers"
        )

    def _body(self, found: list[Line], widths: list[int]) -> Iterator[str]:
        header = Line(0, Purpose(), "kernel", "threads share", "arrays, what is written last")
        yield from self._row(header, widths, "phase", "  us/batch  share" if self.times else "")
        phase, purpose = found[0].phase, None
        for line in found:
            if line.phase != phase:
                phase = line.phase
                yield f"{' ' * len(self._time(0.0))}    ---  barrier"
            if line.purpose != purpose:
                purpose = line.purpose
                yield self._name(purpose)
            yield from self._row(line, widths, str(line.phase), self._time(line.seconds))
        yield f"{' ' * len(self._time(0.0))}    ---  barrier"

    def _row(self, line: Line, widths: list[int], phase: str, time: str) -> Iterator[str]:
        """Yield the text of a line, on several lines if the arrays do not fit on one."""
        left = f"{time}{phase:>7}  {line.kernel:<{widths[0]}}  {line.threads:<{widths[1]}}  "
        # Keep each array on one line: `wrap` does not break at the character between its words.
        arrays = line.arrays.replace(" ", _JOIN).replace(f",{_JOIN}", ", ")
        for number, part in enumerate(wrap(arrays, max(30, _WIDTH - len(left)))):
            yield (" " * len(left) if number else left) + part.replace(_JOIN, " ")

    def _time(self, seconds: float | None) -> str:
        if self.times is None or seconds is None:
            return ""
        share = seconds / (self.times.total or 1.0)
        return f"{1e6 * seconds / self.times.batches:10.2f}{100 * share:6.1f}%"

    def _name(self, purpose: Purpose) -> str:
        """Return a heading that says what the steps below it are for."""
        text = purpose.work
        if purpose.layer is not None:
            text += f", layer {purpose.layer}"
            if purpose.layer < len(self.layers):
                text += f": {self.layers[purpose.layer]}"
        return text

    def _sums(self, found: list[Line]) -> Iterator[str]:
        """Yield a table of the summed times, by layer and by purpose."""
        if self.times is None:
            return
        sums: dict[Purpose, float] = {}
        for line in found:
            sums[line.purpose] = sums.get(line.purpose, 0.0) + (line.seconds or 0.0)
        works = list(dict.fromkeys(purpose.work for purpose in sums))
        layers = sorted({purpose.layer for purpose in sums if purpose.layer is not None})
        yield ""
        yield f"{'us/batch':<16}" + "".join(f"{name:>10}" for name in (*works, "all"))
        for layer in [None, *layers]:
            cells = [sums.get(Purpose(work, layer)) for work in works]
            title = "no one layer" if layer is None else f"layer {layer}"
            yield self._cells(title, [*cells, sum(cell or 0.0 for cell in cells)])
        columns = [sum(sums[each] for each in sums if each.work == work) for work in works]
        yield self._cells("all", [*columns, sum(columns)])
        yield self._cells("barriers", [None] * len(works) + [self.times.barriers])

    def _cells(self, title: str, cells: Sequence[float | None]) -> str:
        scale = 1e6 / self.times.batches if self.times else 1.0
        texts = ("-" if cell is None else f"{scale * cell:.2f}" for cell in cells)
        return f"{title:<16}" + "".join(f"{text:>10}" for text in texts)

    def _arrays(self, step: Step) -> str:
        """List the arrays of a step, with their shapes and the share that a thread gets."""
        found = []
        for name, argument in zip(step.parameters, step.arguments, strict=True):
            if isinstance(argument, Arg):
                shape = str(argument.shape(self.batch_size)).replace(" ", "")
                note = argument.note.removesuffix("rows")
                dtype = argument.array.dtype if argument.array.dtype != self.dtype else ""
                found.append(" ".join(f"{name} {shape} {note} {dtype}".split()))
        return ", ".join(found) or "-"


def _shared(steps: Sequence[Step]) -> str:
    """Describe what the threads share in a group of steps."""
    extent = steps[0].extent
    if extent in (BATCH, EVERY, 1):
        return {BATCH: "batch rows", EVERY: "nothing", 1: "one item"}[extent]
    arrays = [each for step in steps for each in step.arguments if isinstance(each, Arg)]
    if any(isinstance(each, Part) and len(each.shape(0)) > 1 for each in arrays):
        return f"{extent} rows"
    by_columns = any(isinstance(each, Columns | PartColumns) for each in arrays)
    wide = any(len(each.shape(0)) > 1 and each.shape(0)[-1] == extent for each in arrays)
    return f"{extent} {'columns' if by_columns or wide else 'items'}"
