"""An optimizer at work on a function of a few numbers, by the engine's own steps."""

import numpy as np

from fastnn.engine.arguments import FlatPart, ThreadRow, Whole
from fastnn.engine.program import Program, aligned
from fastnn.engine.steps import EVERY
from fastnn.kernels.jit import njit
from fastnn.layers.base import Parameter
from fastnn.optimizers.updater import Updater


def _parabola(w, value):
    value[0] = 0.5 * w[0] ** 2 + 2 * (w[1] - 1) ** 2
    value[1] = 1


def _parabola_gradient(w, dw):
    dw[0] = w[0]
    dw[1] = 4 * (w[1] - 1)


def _rosenbrock(w, value):
    value[0] = (1 - w[0]) ** 2 + 100 * (w[1] - w[0] ** 2) ** 2
    value[1] = 1


def _rosenbrock_gradient(w, dw):
    across = w[1] - w[0] ** 2
    dw[0] = -2 * (1 - w[0]) - 400 * w[0] * across
    dw[1] = 200 * across


def _pair(function):
    return njit(function, cached=False), function


FUNCTIONS = {
    # name: value, gradient, start, minimum
    "parabola": (_pair(_parabola), _pair(_parabola_gradient), (1.0, -2.0), (0.0, 1.0)),
    "rosenbrock": (_pair(_rosenbrock), _pair(_rosenbrock_gradient), (-1.2, 1.0), (1.0, 1.0)),
}


def descend(optimizer, function, steps, *, backend="numba", every=None):
    """Return where `steps` updates lead, or with `every` the places after each so many of them."""
    value, gradient, start, _ = FUNCTIONS[function]
    w, dw = aligned((2,), np.float64), aligned((2,), np.float64)
    w[:] = start
    parameter = Parameter("kernel", w)
    parameter.keep_state(optimizer)
    program = Program(np.float64, 1, 1)
    program.add(value, Whole(w), ThreadRow(program.loss), extent=EVERY)
    program.add_check()
    updater = Updater(program, optimizer, [w])
    calls = [(gradient, (Whole(w), Whole(dw))), *parameter.update(FlatPart(dw), updater)]
    program.add_group(calls, len(w))
    places = []
    for _ in range(steps // (every or steps)):
        how = {"n_rows": 1, "epochs": every or steps, "backend": backend}
        optimizer.run(program, [parameter], lambda total, weight: total / weight, **how)
        places.append(w.copy())
    return np.array(places) if every else w
