"""Many networks on the same data: train them here or on the workers of others, and search."""

from fastnn.many.fitting import fit_many
from fastnn.many.halving import Halving, Rung, successive_halving
from fastnn.many.training import FitManyError, WorkerLostError

__all__ = ["FitManyError", "Halving", "Rung", "WorkerLostError", "fit_many", "successive_halving"]
