"""Tools to find out why a network does not learn."""

from fastnn.diagnosis.findings import Diagnosis, Finding
from fastnn.diagnosis.gradients import GradientCheck, Slope, check_gradients
from fastnn.diagnosis.probes import (
    LayerUnits,
    Oscillation,
    WatchUnits,
    check_oscillation,
    check_units,
)
from fastnn.diagnosis.rates import RateRange, lr_range_test
from fastnn.diagnosis.report import diagnose
from fastnn.diagnosis.sweeps import Sweep, SweepRun, sweep
from fastnn.diagnosis.trials import Small, overfit_small

__all__ = [
    "Diagnosis",
    "Finding",
    "GradientCheck",
    "LayerUnits",
    "Oscillation",
    "RateRange",
    "Slope",
    "Small",
    "Sweep",
    "SweepRun",
    "WatchUnits",
    "check_gradients",
    "check_oscillation",
    "check_units",
    "diagnose",
    "lr_range_test",
    "overfit_small",
    "sweep",
]
