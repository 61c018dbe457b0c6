"""Penalties on parameters, and steps that shrink them: see `fastnn.kernels.regularizers`."""

import numpy as np


def l1_value(strength, w, total):
    """Lasso penalty."""
    total += strength * np.abs(w).sum(dtype=np.float64)


def l1_gradient(strength, w, dw):
    """Gradient of the lasso penalty."""
    dw += w.dtype.type(strength) * np.sign(w)


def l1_shrink(strength, w):
    """Constant shrink."""
    w -= w.dtype.type(strength) * np.sign(w)


def l1_proximal(rate, strength, w):
    """Soft threshold."""
    threshold = w.dtype.type(rate * strength)
    w -= np.clip(w, -threshold, threshold)


def l2_value(strength, w, total):
    """Ridge penalty."""
    total += strength / 2 * np.square(w, dtype=np.float64).sum()


def l2_gradient(strength, w, dw):
    """Gradient of the ridge penalty."""
    dw += w.dtype.type(strength) * w


def lq_value(strength, q, w, total):
    """Bridge penalty."""
    total += strength / 2 * (np.abs(w, dtype=np.float64) ** q).sum()


def lq_gradient(strength, q, w, dw):
    """Gradient of the bridge penalty."""
    size = np.abs(np.where(w == 0, 1, w)) ** w.dtype.type(q - 1)
    dw += w.dtype.type(strength / 2 * q) * size * np.sign(w)
