"""Compare a compiled kernel with its NumPy twin: time both, and check that they agree."""

from fastnn.comparison.compare import KernelComparison, compare_kernel
from fastnn.comparison.examples import axes, example_arguments

__all__ = ["KernelComparison", "axes", "compare_kernel", "example_arguments"]
