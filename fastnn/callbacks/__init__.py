"""Callbacks: the protocol, the history, the progress bar and the monitors."""

from fastnn.callbacks.base import Callback, CallbackList, FunctionCallback, Logs
from fastnn.callbacks.history import History
from fastnn.callbacks.monitors import EarlyStopping, ModelCheckpoint, Monitor
from fastnn.callbacks.plateau import ReduceLROnPlateau
from fastnn.callbacks.progress import ProgressBar

__all__ = [
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "FunctionCallback",
    "History",
    "Logs",
    "ModelCheckpoint",
    "Monitor",
    "ProgressBar",
    "ReduceLROnPlateau",
]
