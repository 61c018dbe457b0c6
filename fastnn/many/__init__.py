"""Many networks on the same data: train them here or on the workers of others, and search."""

from fastnn.many.fitting import fit_many
from fastnn.many.halving import Halving, Rung, successive_halving
from fastnn.many.training import FitManyError

__all__ = ["FitManyError", "Halving", "Rung", "fit_many", "successive_halving"]
