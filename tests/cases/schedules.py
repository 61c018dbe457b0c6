"""Schedules: rates from before the beginning of the schedule to after its end, in float64."""

import numpy as np

from tests.cases.base import case, empty, of, uniform

_FLOAT64 = {"out": of(np.float64, empty)}


def schedule(name, **settings):
    """Return the case of a schedule."""
    return case(f"{name}_rate", first=5, step=3, **_FLOAT64 | settings)


CASES = (
    schedule("constant", initial=0.3),
    schedule("inverse_time", initial=0.3, steps=7.0, decay=0.4, staircase=0),
    schedule("exponential", initial=0.3, steps=7.0, decay=0.4, staircase=1),
    schedule("cosine", initial=0.3, steps=20.0, alpha=0.1),
    schedule("cos_log", peak=0.3, stretch=15.0, steps=20.0),
    schedule("one_cycle", start=0.1, peak=0.5, end=0.01, turn=6.5, last=20.0),
    schedule("warm_up", start=0.1, steps=9.0, out=of(np.float64, uniform)),
    case("scaled_rate", rate=0.3, factor=0.7, **_FLOAT64),
    case("dropout_scale", rate=0.3, **_FLOAT64),
    # Two numbers, whatever the step.
    case("nadam_factors", axes="t", beta1=0.9, decay=0.004, step="t+1", **_FLOAT64),
)
