"""fastnn: neural networks on CPUs, compiled by Numba."""

from fastnn.callbacks import Callback, History
from fastnn.diagnosis import (
    WatchUnits,
    check_gradients,
    check_units,
    diagnose,
    lr_range_test,
    overfit_small,
    sweep,
)
from fastnn.layers import Dense
from fastnn.network import Network, load
from fastnn.optimizers import SGD, Adam
from fastnn.regularizers import L1, L1L2, L2

__version__ = "0.1.0"

__all__ = [
    "L1",
    "L1L2",
    "L2",
    "SGD",
    "Adam",
    "Callback",
    "Dense",
    "History",
    "Network",
    "WatchUnits",
    "check_gradients",
    "check_units",
    "diagnose",
    "load",
    "lr_range_test",
    "overfit_small",
    "sweep",
]
