"""Programs whose batches are cut into shards, and whose sums over rows do not depend on who adds.

A batch is a fixed number of shards: some of its rows, in an order of their own
(:func:`fastnn.kernels.shard_rows`).  What is a sum over the rows of a batch (a gradient, a loss, a
batch's mean) is computed for each shard, and the shards' sums are added along a binary tree, whose
shape depends on the number of shards alone.  So the result has the same bits whichever process has
which shards, if each has all the leaves below a node of the tree.
"""

import ctypes
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from fastnn.engine.arguments import Arg, At, FlatPart, Part, Place, ThreadRow
from fastnn.engine.buffers import Batch, Buffer
from fastnn.engine.clock import Clock
from fastnn.engine.exchange import Exchange, Merge, Ranks, merge_moments
from fastnn.engine.program import APART, Call, Program, aligned
from fastnn.engine.steps import BATCH, EVERY, Group, Step
from fastnn.kernels import COMPILED

_UPDATES = 2**20
"""How many phases after the backward pass the updates begin: more than sums take."""
_ALONE = 2**16
"""Sums of at least so many bytes are sent as soon as they are known; the others all at once."""


@dataclass(frozen=True)
class Shards:
    """A process's shards: those from `first` to `last` of `count`.

    Attributes
    ----------
    n_rows : int
        The rows of the data, of all processes together.
    ranks : Ranks, optional
        The processes, if there are others.
    """

    count: int
    n_rows: int
    first: int
    last: int
    ranks: Ranks | None = None

    @property
    def rows(self) -> slice:
        """Which rows of the data they are."""
        return slice(self._begin(self.first), self._begin(self.last))

    def _begin(self, shard: int) -> int:
        return shard * (self.n_rows // self.count) + min(shard, self.n_rows % self.count)


def own_shards(count: int, rank: int, size: int) -> tuple[int, int]:
    """Return the first of a process's shards and the end: a node of the tree.

    `size`, the number of processes, is a power of two up to `count`.
    """
    first, last = 0, count
    while size > 1:
        size //= 2
        middle = (first + last) // 2
        first, last = (first, middle) if rank & size == 0 else (middle, last)
    return first, last


@dataclass(frozen=True)
class Slice(Arg):
    """A shard's rows of what a step sees of the batch."""

    of: Batch
    bounds: np.ndarray
    """Where each thread finds their first row and their end."""

    @property
    def note(self):
        return f"{self.of.note} of a shard"

    @property
    def form(self):
        return type(self.of), self.of.form

    def place(self, at):
        (start, shape, strides), (first, last) = self.of.place(at), _pair(at, self.bounds)
        row = at.integer(self.of.buffer.width * self.array.itemsize)
        return Place(start + first * row, (last - first, *shape[1:]), strides)

    def shape(self, batch_size):
        return self.of.shape(batch_size)


@dataclass(frozen=True)
class Count(Arg):
    """How many rows some shards have: from where those of the first begin to their end."""

    end: np.ndarray

    note = "number"

    def value(self, at):
        return _pair(at, self.end)[0] - _pair(at, self.array)[0]

    def shape(self, batch_size):
        return ()


def _pair(at: At, bounds: np.ndarray) -> tuple[Any, Any]:
    """Return two numbers of this thread."""
    start = at.address(bounds) + at.clock(Clock.THREAD) * at.integer(bounds.strides[0])
    pair = at.array(Place(start, (at.integer(2),)), bounds.dtype)
    return pair[0], pair[1]


@dataclass(frozen=True)
class Host(Step):
    """A step that calls a Python function, on one thread."""

    function: Callable[[], None] = field(kw_only=True)

    @property
    def name(self) -> str:
        return self.function.__name__.strip("_")

    @property
    def parameters(self) -> list[str]:
        return []

    def compiled(self) -> Any:
        return self._callback

    @functools.cached_property
    def _callback(self) -> "_Callback":
        kind = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3)
        return _Callback(kind(lambda *_: self.function()))

    def run(self, clock) -> None:
        self.function()


class _Callback:
    """A function at an address."""

    def __init__(self, function: Any):
        self.function, self.address = function, ctypes.cast(function, ctypes.c_void_p).value


class ShardedProgram(Program):
    """A training program for a process's shards of each batch.

    Gradients are summed, and if there are other processes exchanged, before the check: what
    they take part in ends before anything lasting changes, or not at all.
    """

    in_order = False
    sums_first = True

    def __init__(self, dtype, batch_size: int, n_threads: int, products: str, shards: Shards):
        super().__init__(dtype, batch_size, n_threads, products)
        self.shards = shards
        count = shards.last - shards.first
        self._bounds = aligned((n_threads, -(-(count + 2) // APART) * APART), np.int64)
        own = ThreadRow(self.clocks[:, Clock.ROWS : Clock.BEFORE + 1])
        where = shards.count, shards.first, Clock.FIRST
        bounds = ThreadRow(self._bounds[:, : count + 1])
        self.begin("fetch")
        self.add("shard_bounds", *where, Clock.ALL_ROWS, own, bounds, extent=EVERY)
        self._sums = 0
        """The phase of the sums that updates need."""
        self.exchange = None
        if shards.ranks is not None:
            self.exchange = Exchange(shards.ranks, self.shared, self._rows_of)
        self._rest: list[np.ndarray] = []

    @property
    def alone(self) -> bool:  # type: ignore[override]
        return self.exchange is None

    @property
    def failure(self) -> Exception | None:  # type: ignore[override]
        return None if self.exchange is None else self.exchange.failure

    def add_rows(self, seed: int, n_rows: int, shuffle: bool, places: Buffer) -> None:
        """Add the step that finds a batch's rows."""
        shards = self.shards
        key = seed, Clock.EPOCH, shards.n_rows, int(shuffle), shards.count, shards.first
        bounds = ThreadRow(self._bounds[:, : shards.last - shards.first + 1])
        self.add("shard_rows", *key, Clock.FIRST, bounds, places.batch, extent=EVERY)

    def _rows_of(self, ranks: range) -> int:
        """Return how many of the batch's rows some processes have."""
        shards, size = self.shards, 0 if self.shards.ranks is None else self.shards.ranks.size
        first = own_shards(shards.count, ranks.start, size)[0]
        last = own_shards(shards.count, ranks.stop - 1, size)[1]
        own, bounds = np.zeros(2, np.int64), np.zeros(last - first + 1, np.int64)
        batch = self.clocks[0, [Clock.FIRST, Clock.ALL_ROWS]].tolist()
        COMPILED["shard_bounds"](shards.count, first, *batch, own, bounds)
        return int(own[0])

    def summed(
        self, call: Call, sums: Sequence[np.ndarray], extent: int, parts: int = 0
    ) -> list[Call]:
        phase, self._phase = self._phase, self._sums
        self._add_sum(call, sums, extent, parts)
        if self.exchange is not None:
            self._rest += [each for each in sums if each.nbytes < _ALONE]
            for each in sums:
                if each.nbytes >= _ALONE:
                    self._phase = self._sums = self._sums + 1
                    self._call(self.exchange.beginning([each]))
        self._phase = phase
        return []

    def add_sum(self, call: Call, sums: Sequence[np.ndarray], extent: int) -> None:
        self._add_sum(call, sums, extent)
        self._exchange(sums)

    def moments(self, x: Buffer, mean: np.ndarray, variance: np.ndarray) -> list[Call]:
        (call,) = super().moments(x, mean, variance)
        self._add_sum(call, (mean, variance), len(mean), merge="merge_moments")
        self._exchange((mean, variance), merge_moments)
        return []

    def _exchange(self, sums: Sequence[np.ndarray], merge: Merge | None = None) -> None:
        """Add the step that adds up the processes' sums, before the next phase."""
        if self.exchange is not None:
            self.barrier()
            self._call(self.exchange.whole(list(sums), merge))
            self.barrier()

    def _call(self, function: Callable[[], None]) -> None:
        group = Group([Host("", (), 1, function=function)], 1, self._purpose)
        self._groups.append((self._phase, group))

    def _add_sum(
        self,
        call: Call,
        sums: Sequence[np.ndarray],
        extent: int,
        parts: int = 0,
        merge: str = "add_to",
    ) -> None:
        """Add the steps that make `call` for each shard, and merge what it writes to `sums`."""
        kernel, arguments = call
        parts = parts or self.n_threads
        rooms: list[dict[int, np.ndarray]] = []

        def at(level: int, argument: Arg) -> Arg:
            """Return where the sums of a level stand; those of level 0 are the result."""
            if level == 0:
                return argument
            while len(rooms) < level:
                rooms.append({})
            array = argument.array
            if type(argument) is Part:
                shape: tuple[int, ...] = (self.n_threads, -(-extent // parts), *array.shape[1:])
            else:
                shape = array.shape
            if id(array) not in rooms[level - 1]:
                rooms[level - 1][id(array)] = aligned(shape, array.dtype)
            room = rooms[level - 1][id(array)]
            if type(argument) is Part:
                return Part(room, per_thread=True)
            return replace(argument, array=room)

        def summing(argument: Any) -> bool:
            return isinstance(argument, Arg) and any(argument.array is each for each in sums)

        def leaf(shard: int, level: int) -> list[Call]:
            where = self._bounds[:, shard - self.shards.first :][:, :2]
            given = [
                at(level, each)
                if summing(each)
                else Slice(each.array, each, where)
                if isinstance(each, Batch)
                else each
                for each in arguments
            ]
            return [(kernel, tuple(given))]

        def join(first: int, middle: int, last: int, level: int) -> list[Call]:
            outputs = [each for each in arguments if summing(each)]
            left = [_flat(at(level, each), extent) for each in outputs]
            right = [_flat(at(level + 1, each), extent) for each in outputs]
            if merge == "add_to":
                return [(merge, pair) for pair in zip(right, left, strict=True)]
            begin, split, end = (
                self._bounds[:, each - self.shards.first :][:, :2] for each in (first, middle, last)
            )
            return [(merge, (Count(begin, split), Count(split, end), *right, *left))]

        def tree(first: int, last: int, level: int) -> list[Call]:
            if last - first == 1:
                return leaf(first, level)
            middle = (first + last) // 2
            left = tree(first, middle, level)
            if kernel == "matmul_tn" and last - middle == 1:
                # Added as it is computed: rounded as often as by `add_to`, without its traffic.
                ((_, (a, b, out)),) = leaf(middle, level)
                return [*left, ("matmul_tn_add", (a, b, 1.0, out))]
            return [*left, *tree(middle, last, level + 1), *join(first, middle, last, level)]

        own = tree(self.shards.first, self.shards.last, 0)
        self.add_group(own, extent, parts=parts if extent not in (BATCH, EVERY) else 0)

    def add_check(self, row_loss=None, weight=None) -> None:
        self.barrier()
        call = "batch_loss", (row_loss.batch, weight.batch, ThreadRow(self.loss))
        self._add_sum(call, [self.loss], EVERY)
        self._sums = self._phase
        if self.exchange is not None:
            self._phase = self._sums = self._sums + 1
            self._call(self.exchange.losses(self.loss))
        self._phase += _UPDATES
        if self.exchange is not None:
            self._call(self.exchange.ending(self._rest))
        self.barrier()
        self._groups.append((self._phase, None))


def _flat(argument: Arg, extent: int) -> Arg:
    """Return the elements that a thread has of a sum, as one vector."""
    if isinstance(argument, ThreadRow):
        return argument
    return FlatPart(argument.array, per_thread=getattr(argument, "per_thread", False))
