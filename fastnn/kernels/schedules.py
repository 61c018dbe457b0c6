"""Numbers that change from update to update: rates of learning, decay, dropout; NAdam's momentum.

``<name>_rate(settings..., first, step, out)``, for all but :func:`scaled_rate`, writes the rates of
updates number `step`, `step` + 1, ... (counted from 1) to `out`, (n,) float64.  Time t is 0 up to
and including update number `first`, which is how a warm-up delays a schedule.
"""

import math

from fastnn.kernels.contract import kernel
from fastnn.kernels.jit import njit


@njit
def _time(first, step):
    return float(max(step - first, 0))


@kernel("- #0 #0 n!^", parallel=False)
def constant_rate(initial, first, step, out):
    """Write a constant rate, as a warm-up to a constant rate needs it.

    Examples
    --------
    >>> import numpy as np
    >>> out = np.empty(2)
    >>> constant_rate(0.5, 1, 1, out)
    >>> out
    array([0.5, 0.5])
    """
    for k in range(out.size):
        out[k] = initial


@kernel("- +0 n!^", parallel=False)
def scaled_rate(rate, factor, out):
    """Write a rate times a parameter's own factor.

    Examples
    --------
    >>> import numpy as np
    >>> out = np.empty(1)
    >>> scaled_rate(0.5, 4.0, out)
    >>> out
    array([2.])
    """
    for k in range(out.size):
        out[k] = rate * factor


@kernel("% n!^", parallel=False)
def dropout_scale(rate, out):
    """Write what inverted dropout multiplies by what it keeps: ``1 / (1 - rate)``.

    Examples
    --------
    >>> import numpy as np
    >>> out = np.empty(1)
    >>> dropout_scale(0.75, out)
    >>> out
    array([4.])
    """
    for k in range(out.size):
        out[k] = 1.0 / (1.0 - rate)


@kernel("- + - #0 #0 #0 n!^", parallel=False)
def inverse_time_rate(initial, steps, decay, staircase, first, step, out):
    """Inverse time: ``initial / (1 + decay * t / steps)``, with floor(t / steps) if `staircase`.

    Parameters
    ----------
    initial, steps, decay : float
    staircase : int
        0 or 1.
    first, step : int
    out : (n,) float64 array

    References
    ----------
    H. Robbins and S. Monro, "A Stochastic Approximation Method", Ann. Math. Stat., 1951.

    Examples
    --------
    >>> import numpy as np
    >>> out = np.empty(3)
    >>> inverse_time_rate(0.6, 1.0, 1.0, 0, 1, 1, out)
    >>> out
    array([0.6, 0.3, 0.2])
    """
    for k in range(out.size):
        t = _time(first, step + k) / steps
        if staircase:
            t = math.floor(t)
        out[k] = initial / (1.0 + decay * t)


@kernel("- + + #0 #0 #0 n!^", parallel=False)
def exponential_rate(initial, steps, decay, staircase, first, step, out):
    """Exponential: ``initial * decay**(t / steps)``, with floor(t / steps) if `staircase`.

    Parameters
    ----------
    initial, steps, decay : float
    staircase : int
        0 or 1.
    first, step : int
    out : (n,) float64 array

    Examples
    --------
    >>> import numpy as np
    >>> out = np.empty(4)
    >>> exponential_rate(0.8, 2.0, 0.5, 1, 1, 1, out)
    >>> out
    array([0.8, 0.8, 0.4, 0.4])
    """
    for k in range(out.size):
        t = _time(first, step + k) / steps
        if staircase:
            t = math.floor(t)
        out[k] = initial * decay**t


@kernel("- + - #0 #0 n!^", parallel=False)
def cosine_rate(initial, steps, alpha, first, step, out):
    """Half a cosine from `initial` to ``alpha * initial`` in `steps` updates, then constant.

    Parameters
    ----------
    initial, steps, alpha : float
    first, step : int
    out : (n,) float64 array

    References
    ----------
    I. Loshchilov and F. Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", ICLR 2017.

    Examples
    --------
    >>> import numpy as np
    >>> out = np.empty(4)
    >>> cosine_rate(1.0, 2.0, 0.0, 1, 1, out)
    >>> out.round(6)
    array([1. , 0.5, 0. , 0. ])
    """
    for k in range(out.size):
        t = min(_time(first, step + k) / steps, 1.0)
        out[k] = initial * ((1.0 - alpha) * 0.5 * (1.0 + math.cos(math.pi * t)) + alpha)


@kernel("- + + #0 #0 n!^", parallel=False)
def cos_log_rate(peak, stretch, steps, first, step, out):
    """Waves from 0 to `peak` and back, each twice as long as the one before, in `steps` updates.

    ``peak * (1 - cos(2 * pi * log2(1 + stretch * t / steps))) / 2``, then constant.

    Parameters
    ----------
    peak, stretch, steps : float
        With ``stretch = 2**k - 1`` there are k waves.
    first, step : int
    out : (n,) float64 array

    References
    ----------
    D. Holzmüller, L. Grinsztajn and I. Steinwart, "Better by Default: Strong Pre-Tuned MLPs and
    Boosted Trees on Tabular Data", NeurIPS 2024.

    Examples
    --------
    >>> import numpy as np
    >>> out = np.empty(5)
    >>> cos_log_rate(1.0, 1.0, 3.0, 1, 1, out)
    >>> out.round(6)
    array([0.      , 0.930431, 0.540903, 0.      , 0.      ])
    """
    for k in range(out.size):
        t = min(_time(first, step + k) / steps, 1.0)
        out[k] = peak * 0.5 * (1.0 - math.cos(2.0 * math.pi * math.log2(1.0 + stretch * t)))


@kernel("- - - + + #0 #0 n!^", parallel=False)
def one_cycle_rate(start, peak, end, turn, last, first, step, out):
    """Half a cosine from `start` to `peak` at t = `turn`, then another to `end` at t = `last`.

    Parameters
    ----------
    start, peak, end, turn, last : float
    first, step : int
    out : (n,) float64 array

    References
    ----------
    L. N. Smith and N. Topin, "Super-Convergence: Very Fast Training of Neural Networks Using Large
    Learning Rates", 2018.

    Examples
    --------
    >>> import numpy as np
    >>> out = np.empty(6)
    >>> one_cycle_rate(0.0, 1.0, 0.5, 2.0, 4.0, 1, 1, out)
    >>> out.round(6)
    array([0.  , 0.5 , 1.  , 0.75, 0.5 , 0.5 ])
    """
    for k in range(out.size):
        t = _time(first, step + k)
        if t <= turn:
            begin, goal, part = start, peak, t / turn
        else:
            begin, goal, part = peak, end, min((t - turn) / (last - turn), 1.0)
        out[k] = goal + (begin - goal) * 0.5 * (1.0 + math.cos(math.pi * part))


@kernel("- +0 #0 #0 n~^", parallel=False)
def warm_up_rate(start, steps, first, step, out):
    """Rise in a straight line from `start` at t = 0 to the rate in `out` at t = `steps`.

    Parameters
    ----------
    start, steps : float
    first, step : int
    out : (n,) float64 array
        Holds the rates of the schedule that follows; those at t < `steps` are overwritten.

    References
    ----------
    P. Goyal et al., "Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour", 2017.

    Examples
    --------
    >>> import numpy as np
    >>> out = np.ones(4)
    >>> warm_up_rate(0.0, 2.0, 1, 1, out)
    >>> out
    array([0. , 0.5, 1. , 1. ])
    """
    for k in range(out.size):
        t = _time(first, step + k)
        if t < steps:
            out[k] = start + (out[k] - start) * (t / steps)


@kernel("% +0 #1 2!^", parallel=False)
def nadam_factors(beta1, decay, step, out):
    """Write NAdam's factors of the gradient and of the mean gradient at update number `step`.

    With the momentum ``u(t) = beta1 * (1 - 0.96**(t * decay) / 2)`` and the product ``p`` of u(1)
    to u(step), they are ``(1 - u(step)) / (1 - p)`` and ``u(step + 1) / (1 - p * u(step + 1))``.

    Parameters
    ----------
    beta1, decay : float
    step : int
        The number of the update, counted from 1.
    out : (2,) float64 array

    References
    ----------
    T. Dozat, "Incorporating Nesterov Momentum into Adam", ICLR 2016 workshop.

    Examples
    --------
    >>> import numpy as np
    >>> out = np.empty(2)
    >>> nadam_factors(0.5, 0.0, 1, out)
    >>> out
    array([1.        , 0.26666667])
    """
    shrink = 0.96**decay
    power, product = 1.0, 1.0
    for done in range(1, step + 1):
        power *= shrink
        product *= beta1 * (1.0 - 0.5 * power)
        if product < 1e-20:  # after some 50 turns, 1 - product is 1 from here on
            break
        if power < 1e-17:  # from here on u is beta1
            product *= beta1 ** (step - done)
            break
    now = beta1 * (1.0 - 0.5 * 0.96 ** (step * decay))
    next_one = beta1 * (1.0 - 0.5 * 0.96 ** ((step + 1) * decay))
    out[0] = (1.0 - now) / (1.0 - product)
    out[1] = next_one / (1.0 - product * next_one)
