"""Sums over processes: each sends its part to the others, and all add them along one binary tree.

Processes are the ranks of an MPI communicator, in mpi4py's interface.  What a rank has is a node of
the tree (:func:`fastnn.engine.shards.own_shards`).  In round k of recursive doubling, ranks whose
numbers differ in bit k exchange what they have and add it, the smaller rank's first.  Large sums
take recursive halving and doubling instead: along the same tree, but a rank adds only a part of the
elements, and then they exchange the parts, which moves less.

A step that waits for others also looks whether the run is to end, whether a rank has said that it
leaves, and how long it has been waiting.

References
----------
R. Thakur, R. Rabenseifner and W. Gropp, "Optimization of Collective Communication Operations in
MPICH", 2005.
"""

import os
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from fastnn.engine.clock import Shared
from fastnn.kernels import COMPILED

_NOTICE, _AGREEMENT, _SUMS = 1, 2, 3
"""Tags of messages; sums have one each, from the last on."""
_HALVED = 2**16
"""Bytes from which a sum over more than two ranks is added in parts."""
_TURNS, _LOOK = 2000, 64
"""Turns of the loop before a waiting step sleeps, and between its looks at whether to go on."""
_SLEEP = 20e-6

Merge = Callable[[int, int, Sequence[np.ndarray], Sequence[np.ndarray]], None]
"""Adds arrays of the second sequence, of so many rows, to those of the first."""
RowsOf = Callable[[range], int]
"""How many of the batch's rows some ranks have."""


class RankError(RuntimeError):
    """Another process that trains the same network has left, died or does something else."""


class RankLeftError(RankError):
    """Another process has said that it leaves, and why."""


def merge_moments(
    rows: int, more: int, moments: Sequence[np.ndarray], others: Sequence[np.ndarray]
) -> None:
    """Add the moments of more rows."""
    COMPILED["merge_moments"](rows, more, *others, *moments)


class Ranks:
    """The processes of an MPI communicator during a fit, which has messages of its own."""

    def __init__(self, communicator: Any, timeout: float):
        self.rank, self.size = communicator.Get_rank(), communicator.Get_size()
        self._timeout = timeout
        self._comm: Any = None
        own, request = communicator.Idup()
        self.wait([request.Test])  # before which there is nothing to look for
        self._comm = own

    def wait(self, tests: Sequence[Callable[[], bool]], stopped: Callable[[], bool] = bool) -> None:
        """Wait until all tests are passed, or `stopped`.

        Raises
        ------
        RankError
            If a rank has left, or nothing has come for too long.
        """
        turns, begun = 0, 0.0
        left = list(tests)
        while left := [test for test in left if not test()]:
            turns += 1
            if turns % _LOOK == 0:
                if stopped():
                    return
                self._look(begun)
                begun = begun or time.monotonic()
            if turns > _TURNS:
                time.sleep(_SLEEP)

    def _look(self, begun: float) -> None:
        message = None if self._comm is None else self._comm.improbe(tag=_NOTICE)
        if message is not None:
            raise RankLeftError(message.recv())
        if begun and time.monotonic() - begun > self._timeout:
            raise RankError(
                f"rank {self.rank} has waited {self._timeout:g} s for another of {self.size} "
                "ranks, which may have died: run the program again from its last checkpoint "
                "(FASTNN_RANK_TIMEOUT sets how long to wait)"
            )

    def agree(self, own: Any) -> list[Any]:
        """Return what each rank gives here, in their order."""
        return self.deal([own] * self.size)

    def deal(self, given: Sequence[Any]) -> list[Any]:
        """Give each rank something; return what each gives this one."""
        others = [rank for rank in range(self.size) if rank != self.rank]
        sent = [self._comm.isend(given[rank], rank, _AGREEMENT) for rank in others]
        found = {self.rank: given[self.rank]}

        def receive(rank: int) -> Callable[[], bool]:
            def test() -> bool:
                message = self._comm.improbe(source=rank, tag=_AGREEMENT)
                if message is not None:
                    found[rank] = message.recv()
                return message is not None

            return test

        self.wait([receive(rank) for rank in others])
        self.wait([request.Test for request in sent])
        return [found[rank] for rank in range(self.size)]

    def send(self, array: np.ndarray, rank: int, tag: int) -> Any:
        """Begin to send an array; return the request."""
        return self._comm.Isend(array, rank, tag)

    def receive(self, array: np.ndarray, rank: int, tag: int) -> Any:
        """Begin to receive an array; return the request."""
        return self._comm.Irecv(array, rank, tag)

    def leave(self, why: str) -> None:
        """Tell the others that this rank leaves before the end."""
        for rank in range(self.size):
            if rank != self.rank:
                self._comm.isend(f"rank {self.rank} left the fit: {why}", rank, _NOTICE)

    def end(self) -> None:
        """Let go of the messages, when all have come to the end."""
        self.agree(None)
        self._comm.Free()


class _Round(NamedTuple):
    """What a rank sends to another and receives from it."""

    partner: int
    bit: int
    sent: slice
    received: slice
    adds: bool


class _Sum:
    """Arrays of which all ranks get the sums."""

    def __init__(
        self,
        ranks: Ranks,
        tag: int,
        arrays: Sequence[np.ndarray],
        merge: Merge | None,
        rows_of: RowsOf,
    ):
        self._ranks, self._tag, self._arrays = ranks, tag, list(arrays)
        self._merge, self._rows_of = merge, rows_of
        size, dtype = sum(array.size for array in arrays), arrays[0].dtype
        alone = len(arrays) == 1
        self._own = arrays[0].reshape(-1) if alone else np.empty(size, dtype)
        """What is sent: the array itself, or several one after another."""
        self._others = np.empty(size, dtype)
        ends = np.cumsum([array.size for array in arrays])[:-1]
        self._pairs = list(zip(np.split(self._own, ends), arrays, strict=True)) * (not alone)
        self._left, self._right = np.split(self._own, ends), np.split(self._others, ends)
        halved = merge is None and ranks.size > 2 and self._own.nbytes >= _HALVED
        self._rounds = self._in_halves(size) if halved else self._whole(size)
        self._requests: list[Any] = []
        self._round = len(self._rounds)

    @property
    def sent(self) -> int:
        """The bytes that a rank sends."""
        return sum(len(self._own[each.sent]) for each in self._rounds) * self._own.itemsize

    def _bits(self) -> list[int]:
        return [2**k for k in range(self._ranks.size.bit_length() - 1)]

    def _whole(self, size: int) -> list[_Round]:
        every, rank = slice(0, size), self._ranks.rank
        return [_Round(rank ^ bit, bit, every, every, True) for bit in self._bits()]

    def _in_halves(self, size: int) -> list[_Round]:
        rounds, rank, own = [], self._ranks.rank, slice(0, size)
        for bit in self._bits():
            middle = (own.start + own.stop) // 2
            halves = slice(own.start, middle), slice(middle, own.stop)
            own, other = halves if rank & bit == 0 else halves[::-1]
            rounds.append(_Round(rank ^ bit, bit, other, own, True))
        back = [_Round(e.partner, e.bit, e.received, e.sent, False) for e in reversed(rounds)]
        return rounds + back

    def begin(self) -> None:
        """Send the first part."""
        for part, array in self._pairs:
            part[...] = array.reshape(-1)
        self._round = 0
        self._post()

    def _post(self) -> None:
        now = self._rounds[self._round]
        into = self._others if now.adds else self._own
        tag, ranks = self._tag, self._ranks
        self._requests = [
            ranks.receive(into[now.received], now.partner, tag),
            ranks.send(self._own[now.sent], now.partner, tag),
        ]

    def advance(self) -> bool:
        """Go on as far as possible without waiting; return whether all is done."""
        while self._round < len(self._rounds):
            if not all([request.Test() for request in self._requests]):
                return False
            if self._rounds[self._round].adds:
                self._add(self._rounds[self._round])
            self._round += 1
            if self._round < len(self._rounds):
                self._post()
            else:
                for part, array in self._pairs:
                    array.reshape(-1)[...] = part
        return True

    def _add(self, now: _Round) -> None:
        own, other = self._own[now.received], self._others[now.received]
        if self._merge is None:
            np.add(own, other, out=own)  # in any order
            return
        rank, first = self._ranks.rank, self._ranks.rank & ~(2 * now.bit - 1)
        middle, end = first + now.bit, first + 2 * now.bit
        rows = self._rows_of(range(first, middle))
        more = self._rows_of(range(middle, end))
        if rank & now.bit == 0:
            self._merge(rows, more, self._left, self._right)
        else:
            self._merge(rows, more, self._right, self._left)
            own[...] = other


class Exchange:
    """A program's sums over ranks, as functions that its steps call.

    Attributes
    ----------
    failure : Exception, optional
        Why a step could not go on.  The run ends before its next update, and raises it.
    """

    def __init__(self, ranks: Ranks, shared: np.ndarray, rows_of: RowsOf):
        self._ranks, self._shared, self._rows_of = ranks, shared, rows_of
        self._begun: list[_Sum] = []
        self._tag = _SUMS
        self._all: list[_Sum] = []
        self.failure: Exception | None = None

    @property
    def sent(self) -> int:
        """The bytes that this rank sends for a batch."""
        return sum(each.sent for each in self._all)

    def _sum(self, arrays: Sequence[np.ndarray], merge: Merge | None = None) -> _Sum:
        self._tag += 1
        self._all.append(_Sum(self._ranks, self._tag, arrays, merge, self._rows_of))
        return self._all[-1]

    def _guarded(self, do: Callable[[], None]) -> Callable[[], None]:
        """Return a function for a step, which cannot raise."""

        def exchange() -> None:
            if self.failure is not None or self._shared[Shared.LEAVE]:
                self._shared[Shared.SKIPPED] = 1
                return
            try:
                do()
            except Exception as error:
                self.failure = error
                self._shared[[Shared.LEAVE, Shared.STOP, Shared.HALT, Shared.SKIPPED]] = 1

        return exchange

    def _wait(self, sums: Sequence[_Sum]) -> None:
        def left() -> bool:
            return bool(self._shared[Shared.LEAVE])

        self._ranks.wait([each.advance for each in sums], left)
        if left():
            self._shared[Shared.SKIPPED] = 1

    def whole(self, arrays: Sequence[np.ndarray], merge: Merge | None) -> Callable[[], None]:
        """Return a function that waits for the sums of some arrays of one dtype."""
        own = self._sum(arrays, merge)

        def do() -> None:
            own.begin()
            self._wait([own])

        return self._guarded(do)

    def beginning(self, arrays: Sequence[np.ndarray]) -> Callable[[], None]:
        """Return a function that begins to sum some arrays, and helps those that have begun."""
        own = self._sum(arrays)

        def do() -> None:
            for each in self._begun:
                each.advance()
            own.begin()
            self._begun.append(own)

        return self._guarded(do)

    def losses(self, loss: np.ndarray) -> Callable[[], None]:
        """Return a function that begins to sum the batch's loss, and whether a rank halts."""
        self._loss, self._numbers = loss, np.zeros(3)
        own = self._sum([self._numbers])

        def do() -> None:
            self._begun.clear()
            self._numbers[:] = *loss[0], self._shared[Shared.HALT] != 0
            own.begin()
            self._begun.append(own)

        return self._guarded(do)

    def ending(self, rest: Sequence[np.ndarray]) -> Callable[[], None]:
        """Return a function that also sums the arrays `rest`, and waits for all that has begun."""
        own: list[_Sum] = []

        def do() -> None:
            if rest and not own:
                own.append(self._sum(rest))
            for each in own:
                each.begin()
            self._begun += own
            self._wait(self._begun)
            self._loss[:] = self._numbers[:2]
            self._shared[Shared.HALT] = self._numbers[2] != 0

        return self._guarded(do)


def timeout() -> float:
    """Return how many seconds to wait for another process."""
    text = os.environ.get("FASTNN_RANK_TIMEOUT", "300")
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not seconds > 0:
        raise ValueError(f"FASTNN_RANK_TIMEOUT is {text!r}, wanted a number of seconds above 0")
    return seconds
