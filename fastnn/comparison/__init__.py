"""Compare a compiled kernel with its NumPy twin: the time of both, and whether they agree."""

from fastnn.comparison.compare import KernelComparison, compare_kernel
from fastnn.comparison.examples import axes, example_arguments

__all__ = ["KernelComparison", "axes", "compare_kernel", "example_arguments"]
