"""What decides the bits of results: processes that agree in it compute the same ones."""

import functools
import hashlib
import platform
import sys
from collections.abc import Mapping
from pathlib import Path

import numba
import numpy as np

from fastnn.kernels.jit import settings
from fastnn.kernels.numba_internals import llvm, processor

_VECTORS = "+sse", "+ssse", "+avx", "+fma", "+f16c", "+amx", "+neon", "+sve", "+sme", "+fp", "+bf16"
"""How the names of features begin that decide by which instructions numbers are computed."""
_PACKAGE = Path(__file__).resolve().parent.parent


@functools.cache
def identity() -> Mapping[str, str]:
    """Return what the bits of results depend on, beside the networks and the data.

    These are versions, the sources, settings of Numba, the processor's name, for which LLVM
    chooses how sums are vectorized, and its vector instructions.  Treat it as read-only.

    Examples
    --------
    >>> sorted(identity())
    ['LLVM', 'NumPy', 'Numba', 'Python', 'fastnn', 'instructions', 'processor', 'settings of \
Numba', 'system']
    """
    sources = hashlib.sha256()
    for source in sorted(_PACKAGE.rglob("*.py")):
        sources.update(source.read_bytes())
    name, features = processor()
    version = sys.modules[__name__.partition(".")[0]].__version__
    return {
        "fastnn": f"{version}, sources {sources.hexdigest()[:8]}",
        "Python": ".".join(map(str, sys.version_info[:2])),  # Numba compiles its byte code
        "NumPy": np.__version__,
        "Numba": numba.__version__,
        "LLVM": ".".join(map(str, llvm.llvm_version_info)),
        "settings of Numba": " ".join(f"{key}={value}" for key, value in settings().items()),
        "system": f"{platform.system()} {platform.machine()}",  # and so its libm
        "processor": name,
        "instructions": " ".join(each[1:] for each in features if each.startswith(_VECTORS)),
    }


def differences(theirs: Mapping[str, str], owner: str) -> str:
    """Return in words how another process differs, whom a message calls `owner`; "" if it does not.

    Examples
    --------
    >>> differences({**identity(), "processor": "a", "instructions": "avx"}, "rank 1") > ""
    True
    >>> differences(identity(), "rank 1")
    ''
    """
    mine = identity()
    found = []
    for name in [*mine, *(name for name in theirs if name not in mine)]:
        here, there = mine.get(name, "none"), theirs.get(name, "none")
        if here != there and " " in here and "," not in here:
            ours, others = here.split(), there.split()  # only what one of them has
            here = " ".join(each for each in ours if each not in others) or "without"
            there = " ".join(each for each in others if each not in ours) or "without"
        if here != there:
            found.append(f"{name} is {there} in {owner}, {here} here")
    return "; ".join(found)
