"""fastnn: neural networks on CPUs, compiled by Numba."""

from fastnn.callbacks import Callback, History
from fastnn.dropout import Dropout
from fastnn.layers import Activation, Dense
from fastnn.monitors import EarlyStopping, ModelCheckpoint
from fastnn.network import Network, load
from fastnn.normalization import BatchNormalization
from fastnn.optimizers import SGD, Adam
from fastnn.regularizers import L1, L1L2, L2

__version__ = "0.1.0"

__all__ = [
    "L1",
    "L1L2",
    "L2",
    "SGD",
    "Activation",
    "Adam",
    "BatchNormalization",
    "Callback",
    "Dense",
    "Dropout",
    "EarlyStopping",
    "History",
    "ModelCheckpoint",
    "Network",
    "load",
]
