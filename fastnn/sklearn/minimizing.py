"""L-BFGS as scikit-learn runs it: all iterations in one call of SciPy's L-BFGS-B."""

from typing import Any

import numpy as np

from fastnn.engine import team
from fastnn.inputs.checks import non_negative_float, positive_int
from fastnn.inputs.settings import setting
from fastnn.kernels.interrupts import let_interrupt
from fastnn.optimizers.lbfgs import Objective, Searching


class Minimizer(Searching):
    """Minimize the loss of all rows; one epoch is the whole minimization.

    :class:`fastnn.LBFGS` is the optimizer for networks.  This one ends where scikit-learn's
    ``solver="lbfgs"`` does: `max_fun` counts evaluations, `max_iter` iterations.

    Attributes
    ----------
    result_ : scipy.optimize.OptimizeResult
        Of the last fit.
    """

    name = "scipy_lbfgsb"

    tol: float = setting(default=1e-4, check=non_negative_float)
    max_iter: int = setting(default=200, check=positive_int)
    max_fun: int = setting(default=15000, check=positive_int)

    result_: Any = None

    @np.errstate(all="ignore")
    def run(self, program, parameters, loss, *, epochs=1, access=None, pause=None, **how):
        """Run the minimization; see :meth:`Optimizer.run`."""
        from scipy.optimize import minimize

        objective = Objective(program, parameters, loss, how)
        start, found = objective.begin(), False
        try:
            self.result_ = minimize(
                objective.at,
                start,
                jac=True,
                method="L-BFGS-B",
                options={"maxfun": self.max_fun, "maxiter": self.max_iter, "gtol": self.tol},
                callback=lambda intermediate_result: let_interrupt(),
            )
            found = np.isfinite(self.result_.fun)
        finally:
            reached = self.result_.x if found else start
            value, _ = objective.at(reached)
            objective.track()
            objective.program.updates = objective.number + 1
            if pause is not None:
                pause()
        sums = np.array([[value - loss(0.0, 1.0), 1.0]])  # without penalties
        return team.Outcome(sums, np.zeros(1), bool(np.isfinite(value)), 1, objective.clock)
