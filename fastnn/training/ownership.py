"""Ownership: training writes only into arrays that the model's parameters alone have.

Others can have them, or they can be in no state to be written, after all that Python and its users
do with objects: joblib's memory maps, pickles with buffers apart, another model's parameters,
arrays that were put there by hand.  So whoever changes parameters looks first whether they are
exactly those of last time, which takes microseconds, and copies those that are not.
"""

import operator
from dataclasses import replace
from typing import Any

import numpy as np

from fastnn.engine.program import aligned
from fastnn.layers.base import Parameter

Parameters = list[list[Parameter]]


def held(parameters: Parameters) -> list[Any]:
    """Return the parameters and their arrays: what tells by identity whether any is another."""
    found: list[Any] = []
    for each in (each for layer in parameters for each in layer):
        found += [each, each.value, *each.state.values()]
    return found


def arrays(parameters: Parameters) -> list[np.ndarray]:
    """Return all arrays that updates change."""
    found = []
    for each in (each for layer in parameters for each in layer):
        found += [each.value, *each.state.values()]
    return found


def owned(parameters: Parameters, own: list[Any], dtype: np.dtype) -> Parameters:
    """Return the parameters, those copied that are not in `own` or that cannot be written to.

    Raises ValueError if the optimizer's state does not have its parameter's shape.
    """
    now = held(parameters)
    if len(now) == len(own) and all(map(operator.is_, now, own)):
        if all(each.flags.carray for each in now if type(each) is np.ndarray):
            return parameters
    mine = set(map(id, own))

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
