"""The shape of the register tile: MR x NR, for every instruction set.

A tile holds the sums of an MR x NR block of C in SIMD registers.  Its MR * NR accumulators, one row
of B and a broadcast element of A must fit the registers (32 for AVX-512 and NEON, 16 for AVX2 and
SSE2): a tile that spills is four times slower.
"""

from typing import NamedTuple

from fastnn.kernels.numba_internals import processor


class TileShape(NamedTuple):
    """The register tile of one instruction set."""

    name: str
    vector_bytes: int
    mr: int
    """Rows of a full tile; a tile may have fewer."""
    widths: tuple[int, ...]
    """Columns of a tile in vectors, widest first: NR is the first, and the last must be 1."""


_SHAPES = (
    ("+avx512f", TileShape("AVX-512", 64, 6, (4, 2, 1))),
    ("+avx2", TileShape("AVX2", 32, 6, (2, 1))),
    ("+neon", TileShape("NEON", 16, 6, (4, 2, 1))),
)
_GENERIC = TileShape("generic", 16, 4, (2, 1))

_CPU, _FEATURES = processor()
TILE = next((shape for it, shape in _SHAPES if it in _FEATURES), _GENERIC)
"""The tile of the instruction set that Numba compiles for."""
SPLIT_STORES = TILE.vector_bytes == 64 and _CPU == "znver4"
"""Whether vectors are stored in halves.  A Zen 4 cannot multiply while it stores 64 bytes at once:
24 vectors take 37 cycles, their halves 17."""
_SLOW_PAIRS = ("sapphirerapids", "emeraldrapids")
"""Where AVX512-BF16 has half the speed of float32 (87 GFLOP/s and 175)."""
BFLOAT16_PAIRS = "+avx512bf16" in _FEATURES and TILE.vector_bytes == 64 and _CPU not in _SLOW_PAIRS
"""Whether pairs of bfloat16 numbers are multiplied by an instruction of their own."""
