"""The step table: a program's steps as compiled code reads them."""

from collections.abc import Sequence

import numpy as np

from fastnn.engine.products import compiled_apart
from fastnn.engine.steps import Group
from fastnn.engine.worker import ADDRESS, FLOATS, INTEGERS, compile_worker
from fastnn.kernels.interrupts import let_interrupt

_ITEM = 8


class Table:
    """The steps of a program, compiled, and the numbers that they read.

    Parameters
    ----------
    groups : list of (int, Group or None, int)
        The groups of steps in order: phase, group (None stands for the check), and into how many
        parts its work is cut.
    products : str
        The numbers that matrix products multiply.

    Attributes
    ----------
    steps : int64 array, (steps, 6)
        What :func:`fastnn.engine.worker.work` walks.
    forward : int64 array
        The rows of it that lead to the batch's loss.
    integers : int64 array
        What the steps read, except numbers that are not whole.
    arrays : list of array
        The arrays to which the steps' integers point.
    cached : bool
        Whether no step calls a user's own function.
    """

    def __init__(self, groups: list[tuple[int, Group | None, int]], products: str):
        with compiled_apart(products):
            compile_worker()
            compiled = []
            for step in (step for _, group, _ in groups if group for step in group.steps):
                let_interrupt()  # compiling all takes seconds
                compiled.append(step.compiled().address)
        codes = iter(compiled)
        rows: list[tuple[int, ...]] = []
        integers: list[int] = []
        floats: list[float] = []
        leads: list[bool] = []
        self.arrays: list[np.ndarray] = []
        self._places: list[int] = []
        self.cached = True
        for phase, group, parts in groups:
            if group is None:
                rows.append((0, 0, 0, phase, 1, 0))
                leads.append(True)
                continue
            for step in group.steps:
                numbers, where = step.numbers, (len(integers), len(floats))
                for place, array in numbers.pointers:
                    self._places.append(len(integers) + place)
                    self.arrays.append(array)
                integers += numbers.integers
                floats += numbers.floats
                rows.append((next(codes), *where, phase, len(group.steps), parts))
                leads.append(group.leads_to_loss)
                self.cached &= isinstance(step.kernel, str)
        self.integers, self._floats = np.array(integers, np.int64), np.array(floats, np.float64)
        self.steps = np.array(rows, np.int64)
        runs = self.steps[:, ADDRESS] != 0
        self.steps[runs, INTEGERS] *= _ITEM
        self.steps[runs, INTEGERS] += self.integers.ctypes.data
        self.steps[runs, FLOATS] *= _ITEM
        self.steps[runs, FLOATS] += self._floats.ctypes.data
        self.forward = self.steps[leads]

    def loosen(self, rows: Sequence[np.ndarray], parameters: Sequence[np.ndarray]) -> None:
        """Let go of arrays that are not the program's; :meth:`point` puts others in their place.

        Steps have the arrays `rows` themselves, which may share memory, but views of `parameters`.
        """
        of_rows = {id(array): number for number, array in enumerate(rows)}
        begins = [array.ctypes.data for array in (*rows, *parameters)]
        sizes = [array.nbytes for array in parameters]
        spans = list(zip(begins[len(rows) :], sizes, strict=True))
        loose: list[tuple[int, int, int]] = []
        own: list[np.ndarray] = []
        for place, array in zip(self._places, self.arrays, strict=True):
            address = int(self.integers[place])
            number = of_rows.get(id(array), -1)
            for other, (begin, size) in enumerate(spans, len(rows)):
                if number < 0 and begin <= address < begin + size:
                    number = other
            if number < 0:
                own.append(array)
            else:
                loose.append((place, number, address - begins[number]))
        self.arrays, self._places = own, []
        self._loose = np.array(loose, np.int64).reshape(-1, 3).T.copy()

    def pointers(self, number: int) -> np.ndarray:
        """Return where among `integers` addresses of the first `number` arrays let go of stand.

        The rows of the result, (3, n), are places, the arrays' numbers, and offsets.
        """
        return np.ascontiguousarray(self._loose[:, self._loose[1] < number])

    def point(self, begins: np.ndarray) -> None:
        """Use other arrays with the layout of those let go of, which begin at these addresses."""
        places, numbers, offsets = self._loose
        self.integers[places] = begins[numbers] + offsets

    @property
    def nbytes(self) -> int:
        """The bytes of the arrays."""
        return sum(array.nbytes for array in {id(each): each for each in self.arrays}.values())
