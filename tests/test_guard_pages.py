"""No kernel touches memory outside its arrays: every case runs between guard pages.

The runs are in processes of their own; one that dies fails the case it was at.
"""

import functools
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cases import CASES

ROOT = Path(__file__).parent.parent
CRASHES = (-signal.SIGSEGV, -signal.SIGBUS)
READ_AT = """
import numpy as np
from fastnn.kernels.jit import njit
from tests.guard import GuardedRegion

@njit(cached=False)
def read(x, place):
    return x[place]

region = GuardedRegion(1000)
x = region.place(np.arange(5.0), "{end}")
print(read(x, {inside}), flush=True)
print(read(x, {outside}), flush=True)
"""


def _python(*arguments):
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=240
    )


@functools.cache
def _failures():
    """Run all cases and return {name: what happened} of those that did not pass."""
    left, failures = [case.name for case in CASES], {}
    while left:
        process = _python("-m", "tests.guard", *left)
        lines = process.stdout.splitlines()
        passed = {line.split()[1] for line in lines if line.startswith("passed")}
        left = [name for name in left if name not in passed]
        if left:
            last = lines[-1] if lines else "before the first call"
            failures[left.pop(0)] = f"exit {process.returncode}, {last}\n{process.stderr}"
    return failures


# Numba counts a negative index from the end, so -6 is the place before the first of 5.
@pytest.mark.parametrize(
    ("end", "inside", "outside", "value"), [("last", 4, 5, "4.0"), ("first", 0, -6, "0.0")]
)
def test_the_guard_catches_a_read_outside(end, inside, outside, value):
    process = _python("-c", READ_AT.format(end=end, inside=inside, outside=outside))
    assert process.stdout.split() == [value]
    assert process.returncode in CRASHES


@pytest.mark.parametrize("name", [case.name for case in CASES])
def test_stays_inside_its_arrays(name):
    failure = _failures().get(name)
    assert failure is None, failure
