"""Arrays flush against memory that nobody may touch, and every kernel run on them.

An access outside such an array ends the process, so this is run as a program of its own:
``python -m tests.guard NAME ...`` runs the named cases and says before each call what it is about
to do, so that the last line tells what went wrong.  Linux and macOS.
"""

import ctypes
import mmap
import sys

import numpy as np

from tests.cases import BY_NAME, CASES, DTYPES, PRODUCTS, copied

SHAPES_PER_CASE = 150
LARGEST = 70
NO_ACCESS = 0


class GuardedRegion:
    """Memory between two pages that cannot be read or written."""

    def __init__(self, capacity: int):
        page = mmap.PAGESIZE
        self._size = -(-capacity // page) * page
        self._memory = mmap.mmap(
            -1, self._size + 2 * page, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        )  # a fork has its own
        first = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        protect = ctypes.CDLL(None, use_errno=True).mprotect
        protect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
        for address in (first, first + page + self._size):
            if protect(address, page, NO_ACCESS):
                raise OSError(ctypes.get_errno(), "mprotect failed")

    def place(self, array: np.ndarray, end: str) -> np.ndarray:
        """Return a copy of `array` whose `end`, "first" or "last" byte, touches a guard page."""
        offset = 0 if end == "first" else self._size - array.nbytes
        placed = np.frombuffer(self._memory, array.dtype, array.size, mmap.PAGESIZE + offset)
        placed = placed.reshape(array.shape)
        placed[...] = array
        return placed


def random_shapes(rng, dimensions):
    """Return random shapes, a few of them with no rows."""
    sizes = rng.integers(1, LARGEST + 1, (SHAPES_PER_CASE, dimensions))
    sizes[::50, 0] = 0
    more = PRODUCTS if dimensions == 3 else ()
    return [*more, *(tuple(shape) for shape in sizes.tolist())]


def run(case, regions):
    """Run one case on guarded arrays; the result must be that on any other arrays."""
    rng = np.random.default_rng(11)
    for shape in random_shapes(rng, case.dimensions):
        for dtype in DTYPES:
            arguments = case.make(rng, dtype, *shape)
            expected = copied(arguments)
            case.compiled(*expected.values())
            for end in ("first", "last"):
                print("calling", case.name, shape, dtype.__name__, end, flush=True)
                placed = {
                    name: region.place(value, end) if isinstance(value, np.ndarray) else value
                    for region, (name, value) in zip(regions, arguments.items(), strict=False)
                }
                case.compiled(*placed.values())
                for name in case.outputs:
                    assert placed[name].tobytes() == expected[name].tobytes(), name


def main(names):
    """Run the named cases, or all."""
    capacity = 8 * max(LARGEST**2, *(max(m * k, k * n, m * n) for m, k, n in PRODUCTS))
    regions = [GuardedRegion(capacity) for _ in range(16)]
    for case in [BY_NAME[name] for name in names] or CASES:
        run(case, regions)
        print("passed", case.name, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
