"""fastnn: neural networks on CPUs, compiled by Numba."""

from fastnn.callbacks import Callback, History
from fastnn.constraints import MaxNorm, NonNeg, UnitNorm
from fastnn.layers import Dense
from fastnn.network import Network, load
from fastnn.optimizers import SGD, Adam
from fastnn.regularizers import L1, L1L2, L2, GroupL1, Lq

__version__ = "0.1.0"

__all__ = [
    "L1",
    "L1L2",
    "L2",
    "SGD",
    "Adam",
    "Callback",
    "Dense",
    "GroupL1",
    "History",
    "Lq",
    "MaxNorm",
    "Network",
    "NonNeg",
    "UnitNorm",
    "load",
]
