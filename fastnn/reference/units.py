"""A trainable number for each unit, in NumPy: see `fastnn.kernels.units`."""

import numpy as np


def scale_units(x, scale, out):
    """Scale columns."""
    np.multiply(x, scale, out=out)


def scale_units_gradient(x, dy, first, last, dscale):
    """Gradient of the scales."""
    part = np.s_[:, first:last]
    dscale[first:last] = (dy[part] * x[part]).sum(axis=0, dtype=np.float64)


def blend_units(x, y, share, out):
    """Blend two matrices."""
    np.add(share * y, (1 - share) * x, out=out)


def blend_units_gradient(x, y, dy, first, last, dshare):
    """Gradient of the shares."""
    part = np.s_[:, first:last]
    dshare[first:last] = (dy[part] * (y[part] - x[part])).sum(axis=0, dtype=np.float64)
