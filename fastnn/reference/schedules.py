"""Numbers that change from update to update, in NumPy: see `fastnn.kernels.schedules`."""

import numpy as np


def _times(first, step, out):
    return np.maximum(np.arange(step, step + out.size) - first, 0).astype(np.float64)


def constant_rate(initial, first, step, out):
    """Constant rate."""
    out[:] = initial


def scaled_rate(rate, factor, out):
    """Rate times a factor."""
    out[:] = rate * factor


def dropout_scale(rate, out):
    """What inverted dropout multiplies by."""
    out[:] = 1 / (1 - rate)


def inverse_time_rate(initial, steps, decay, staircase, first, step, out):
    """Inverse time decay."""
    t = _times(first, step, out) / steps
    out[:] = initial / (1 + decay * (np.floor(t) if staircase else t))


def exponential_rate(initial, steps, decay, staircase, first, step, out):
    """Exponential decay."""
    t = _times(first, step, out) / steps
    out[:] = initial * np.exp((np.floor(t) if staircase else t) * np.log(decay))


def cosine_rate(initial, steps, alpha, first, step, out):
    """Half a cosine down."""
    t = np.minimum(_times(first, step, out), steps)
    out[:] = initial * (alpha + (1 - alpha) * np.cos(np.pi * t / steps / 2) ** 2)


def cos_log_rate(peak, stretch, steps, first, step, out):
    """Waves, each twice as long as the one before."""
    t = np.minimum(_times(first, step, out) / steps, 1)
    out[:] = peak * np.sin(np.pi * np.log2(1 + stretch * t)) ** 2


def one_cycle_rate(start, peak, end, turn, last, first, step, out):
    """Half a cosine up, then another down."""
    t = _times(first, step, out)
    rising = start + (peak - start) * np.sin(np.pi * t / turn / 2) ** 2
    part = np.minimum((t - turn) / (last - turn), 1)
    falling = end + (peak - end) * np.cos(np.pi * part / 2) ** 2
    out[:] = np.where(t <= turn, rising, falling)


def warm_up_rate(start, steps, first, step, out):
    """A straight line up to the rate that follows."""
    t = _times(first, step, out)
    out[:] = np.where(t < steps, start * (1 - t / steps) + out * (t / steps), out)


def nadam_factors(beta1, decay, step, out):
    """NAdam's factors of the gradient and of the mean gradient."""
    few = min(step, 10_000)  # after them u is beta1, or the product 0
    momentum = beta1 * (1 - 0.5 * 0.96 ** (np.arange(1, few + 1) * decay))
    now, following = (beta1 * (1 - 0.5 * 0.96 ** (t * decay)) for t in (step, step + 1))
    through_now = np.prod(momentum) * beta1 ** (step - few)
    out[:] = (1 - now) / (1 - through_now), following / (1 - through_now * following)
