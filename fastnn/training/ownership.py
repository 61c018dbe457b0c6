"""Ownership: training writes only into arrays that the model's parameters alone have.

Others can have them, or they can be in no state to be written, after all that Python and its users
do with objects: joblib's memory maps, pickles with buffers apart, another model's parameters,
arrays that were put there by hand.  So whoever changes parameters looks first whether they are
exactly those of last time, which takes microseconds, and copies those that are not.
"""

import functools
import operator
from dataclasses import replace
from typing import Any

import numpy as np

from fastnn.engine.program import addresses, aligned
from fastnn.layers.base import Parameter

Parameters = list[list[Parameter]]


class Own:
    """The parameters of a model and their arrays, by which to tell whether any is another."""

    def __init__(self, parameters: Parameters):
        self.objects = held(parameters)
        self.arrays = [each for each in self.objects if isinstance(each, np.ndarray)]
        """All arrays that updates change."""

    @functools.cached_property
    def begins(self) -> np.ndarray:
        """The addresses of the arrays."""
        return addresses(self.arrays)

    @functools.cached_property
    def sizes(self) -> np.ndarray:
        """The sizes of the arrays."""
        return np.array([array.size for array in self.arrays], np.int64)

    def holds(self, parameters: Parameters) -> bool:
        """Return whether these are the parameters, with all their arrays as they were."""
        now, then = held(parameters), self.objects
        if len(now) != len(then) or not all(map(operator.is_, now, then)):
            return False
        return all(array.flags.carray for array in self.arrays)


def held(parameters: Parameters) -> list[Any]:
    """Return the parameters and their arrays."""
    found: list[Any] = []
    for each in (each for layer in parameters for each in layer):
        found += [each, each.value, *each.state.values()]
    return found


def owned(parameters: Parameters, own: Own, dtype: np.dtype) -> Parameters:
    """Return the parameters, those copied that are not in `own` or that cannot be written to.

    Raises ValueError if the optimizer's state does not have its parameter's shape.
    """
    if own.holds(parameters):
        return parameters
    mine = set(map(id, own.objects))

    def kept(array: np.ndarray, parameter: Parameter) -> np.ndarray:
        if id(parameter) in mine and id(array) in mine and array.flags.carray:
            return array
        return copied(array, dtype)

    for each in (each for layer in parameters for each in layer):
        for name, array in each.state.items():
            if array.shape != each.value.shape:
                raise ValueError(
                    f"the optimizer's {name} of a {each.name} is {array.shape}, wanted "
                    f"{each.value.shape}"
                )
    return [
        [
            replace(
                each,
                value=kept(each.value, each),
                state={name: kept(array, each) for name, array in each.state.items()},
            )
            for each in layer
        ]
        for layer in parameters
    ]


def copied(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return a copy that compiled code can read and write."""
    copy = aligned(array.shape, dtype)
    copy[...] = array
    return copy


def readable(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return the array, copied if compiled code cannot read it where it is."""
    plain = array.flags.c_contiguous and array.flags.aligned and array.dtype == dtype
    return array if plain else copied(array, dtype)
