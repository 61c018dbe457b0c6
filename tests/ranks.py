"""Ranks as threads: what `fit` uses of an MPI communicator, without MPI."""
# ruff: noqa: N802  # the names are MPI's

import copy
import queue
import threading
from collections.abc import Callable
from typing import Any

import numpy as np


class _Request:
    def __init__(self, test: Callable[[], bool]):
        self._test, self._done = test, False

    def Test(self) -> bool:
        self._done = self._done or self._test()
        return self._done


class _Message:
    def __init__(self, value: Any):
        self._value = value

    def recv(self) -> Any:
        return self._value


class Communicator:
    """One rank's view of some threads; messages of one tag arrive in order."""

    def __init__(self, boxes: list[dict[Any, queue.SimpleQueue]], rank: int, lock: Any):
        self._boxes, self._rank, self._lock = boxes, rank, lock
        self._begun = 0
        """How often it still has to be asked whether it has begun."""

    def Get_rank(self) -> int:
        return self._rank

    def Get_size(self) -> int:
        return len(self._boxes)

    def Idup(self):
        own = copy.copy(self)
        own._begun = 100

        def test() -> bool:
            own._begun -= 1
            return own._begun == 0

        return own, _Request(test)

    def Free(self) -> None:
        pass

    def _box(self, rank: int, source: int, tag: int) -> queue.SimpleQueue:
        with self._lock:
            return self._boxes[rank].setdefault((source, tag), queue.SimpleQueue())

    def isend(self, value: Any, dest: int, tag: int) -> _Request:
        self._box(dest, self._rank, tag).put(copy.deepcopy(value))
        return _Request(lambda: True)

    def Isend(self, array: np.ndarray, dest: int, tag: int) -> _Request:
        return self.isend(array, dest, tag)

    def Irecv(self, array: np.ndarray, source: int, tag: int) -> _Request:
        box = self._box(self._rank, source, tag)

        def test() -> bool:
            if box.empty():
                return False
            array[...] = box.get()
            return True

        return _Request(test)

    def improbe(self, source: int = -1, tag: int = -1) -> _Message | None:
        assert not self._begun, "the communicator is used before it exists"
        sources = range(len(self._boxes)) if source < 0 else [source]
        for each in sources:
            box = self._box(self._rank, each, tag)
            if not box.empty():
                return _Message(box.get())
        return None


def run(size: int, job: Callable[[Communicator], Any]) -> list[Any]:
    """Return what ``job(communicator)`` returns or raises on each of so many ranks."""
    boxes: list[dict[Any, queue.SimpleQueue]] = [{} for _ in range(size)]
    lock, found = threading.Lock(), [None] * size

    def rank(number: int) -> None:
        try:
            found[number] = job(Communicator(boxes, number, lock))
        except BaseException as error:
            found[number] = error

    threads = [threading.Thread(target=rank, args=(number,)) for number in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found
