"""Losses that are negative log-likelihoods, and their gradients; see `fastnn.kernels.losses`."""

import math

import numpy as np

from fastnn.kernels.contract import kernel
from fastnn.kernels.elementary import (
    exp,
    exp_nonpositive,
    log1p_unit,
    row_maximum,
    row_sum,
    rows_exp,
    sigmoid,
)
from fastnn.kernels.jit import REASSOCIATE, njit


@kernel("mn m<n % m!")
def softmax_cross_entropy_forward(prediction, target, label_smoothing, row_loss):
    """Cross-entropy of softmax with class labels, stable for any finite logits.

    ``row_loss[i] = log(sum_j exp(prediction[i, j])) - prediction[i, target[i]]``.  Label smoothing
    `s` replaces the label by a distribution, ``1 - s`` on the label plus ``s / n`` on every class,
    so the last term becomes ``(1 - s) * prediction[i, target[i]] + s * mean(prediction[i])``.
    NaN logits give NaN.

    Parameters
    ----------
    prediction : (rows, n) array of a float type
        Logits, the inputs of softmax.
    target : (rows,) int64 array
        Class labels from 0 to n - 1.
    label_smoothing : float
        At least 0 and below 1.
    row_loss : (rows,) array of the float type

    References
    ----------
    J. S. Bridle, "Probabilistic Interpretation of Feedforward Classification Network Outputs",
    in Neurocomputing, 1990; smoothing: C. Szegedy et al., "Rethinking the Inception Architecture
    for Computer Vision", CVPR 2016.

    Examples
    --------
    >>> import numpy as np
    >>> row_loss = np.zeros(2)
    >>> logits = np.array([[0.0, 0.0], [1e4, 0.0]])
    >>> softmax_cross_entropy_forward(logits, np.array([0, 1]), 0.0, row_loss)
    >>> row_loss.round(4)
    array([6.931e-01, 1.000e+04])
    """
    one, smoothing = prediction.dtype.type(1), prediction.dtype.type(label_smoothing)
    count = prediction.dtype.type(prediction.shape[1])
    for i in range(prediction.shape[0]):
        largest = row_maximum(prediction, i)
        total = _row_sum_exp(prediction, i, largest)
        chosen = prediction[i, target[i]] - largest
        if smoothing != 0:
            mean = _row_sum_shifted(prediction, i, largest) / count
            chosen = (one - smoothing) * chosen + smoothing * mean
        row_loss[i] = math.log(total) - chosen


@njit(fastmath=REASSOCIATE)
def _row_sum_exp(x, i, shift):
    total = x.dtype.type(0)
    for j in range(x.shape[1]):
        total += exp_nonpositive(x[i, j] - shift)
    return total


@njit(fastmath=REASSOCIATE)
def _row_sum_shifted(x, i, shift):
    total = x.dtype.type(0)
    for j in range(x.shape[1]):
        total += x[i, j] - shift
    return total


@kernel("mn& m<n % m mn!")
def softmax_cross_entropy_backward(prediction, target, label_smoothing, row_scale, d):
    """Gradient of softmax cross-entropy: ``d = row_scale[i] * (softmax(prediction) - wanted)``.

    `wanted` is ``1 - label_smoothing`` at the label and 0 elsewhere, plus ``label_smoothing / n``.

    Parameters
    ----------
    prediction, d : (rows, n) arrays of one float type
    target : (rows,) int64 array
        Class labels from 0 to n - 1.
    label_smoothing : float
    row_scale : (rows,) array of the float type

    Examples
    --------
    >>> import numpy as np
    >>> d = np.zeros((1, 2))
    >>> softmax_cross_entropy_backward(np.zeros((1, 2)), np.array([1]), 0.0, np.ones(1), d)
    >>> d
    array([[ 0.5, -0.5]])
    """
    one = d.dtype.type(1)
    share = d.dtype.type(label_smoothing / max(d.shape[1], 1))
    at_label = d.dtype.type(1 - label_smoothing) + share
    rows_exp(prediction, d)
    for i in range(d.shape[0]):
        scale = row_scale[i]
        inverse = one / row_sum(d, i)
        chosen = scale * (d[i, target[i]] * inverse - at_label)
        for j in range(d.shape[1]):
            d[i, j] = scale * (d[i, j] * inverse - share)
        d[i, target[i]] = chosen


@kernel("mn m<n m!")
def probability_cross_entropy_forward(prediction, target, row_loss):
    """Cross-entropy of probabilities: ``row_loss[i] = -log(prediction[i, target[i]])``.

    It is infinite for a probability of 0, and NaN for a number below 0.

    Parameters
    ----------
    prediction : (rows, n) array of a float type
        Probabilities, such as the outputs of softmax.
    target : (rows,) int64 array
        Class labels from 0 to n - 1.
    row_loss : (rows,) array of the float type

    References
    ----------
    C. M. Bishop, "Pattern Recognition and Machine Learning", 2006, equation 4.108.

    Examples
    --------
    >>> import numpy as np
    >>> row_loss = np.zeros(2)
    >>> f = np.array([[0.5, 0.5], [0.0, 1.0]])
    >>> probability_cross_entropy_forward(f, np.array([0, 1]), row_loss)
    >>> row_loss.round(4)
    array([0.6931, 0.    ])
    """
    for i in range(prediction.shape[0]):
        row_loss[i] = math.log(prediction[i, target[i]])
    zero = row_loss.dtype.type(0)
    for i in range(row_loss.shape[0]):
        row_loss[i] = zero - row_loss[i]  # and so 0 for certainty, not -0


@kernel("mn& m<n m mn!")
def probability_cross_entropy_backward(prediction, target, row_scale, d):
    """Gradient of the cross-entropy of probabilities: ``-row_scale[i] * e(y) / f_y``.

    ``e(y)`` is 1 at the label and 0 elsewhere.

    Parameters
    ----------
    prediction, d : (rows, n) arrays of one float type
    target : (rows,) int64 array
        Class labels from 0 to n - 1.
    row_scale : (rows,) array of the float type

    Examples
    --------
    >>> import numpy as np
    >>> d = np.zeros((1, 2))
    >>> f = np.array([[0.25, 0.75]])
    >>> probability_cross_entropy_backward(f, np.array([0]), np.ones(1), d)
    >>> d
    array([[-4.,  0.]])
    """
    zero = d.dtype.type(0)
    for i in range(d.shape[0]):
        label = target[i]
        chosen = -row_scale[i] / prediction[i, label]
        for j in range(d.shape[1]):
            d[i, j] = chosen if j == label else zero


@kernel("mn mn m!", fastmath=REASSOCIATE)
def logistic_forward(prediction, target, row_loss):
    """Cross-entropy of the sigmoid of logits, ``row_loss[i] = sum_j log(1 + e**f) - f * y``.

    It is computed as ``max(f, 0) - f * y + log1p(exp(-|f|))``, which does not overflow for any
    finite logit `f`.

    Parameters
    ----------
    prediction : (rows, n) array of a float type
        Logits `f`, the inputs of the sigmoid.
    target : (rows, n) array of that type
        `y`, 0 or 1 or a probability in between.  Each column is an attribute.
    row_loss : (rows,) array of that type

    References
    ----------
    C. M. Bishop, "Pattern Recognition and Machine Learning", 2006, equation 4.90.

    Examples
    --------
    >>> import numpy as np
    >>> row_loss = np.zeros(1)
    >>> logistic_forward(np.array([[0.0, 1e4]]), np.array([[1.0, 0.0]]), row_loss)
    >>> row_loss.round(4)
    array([10000.6931])
    """
    zero = prediction.dtype.type(0)
    for i in range(prediction.shape[0]):
        total = zero
        for j in range(prediction.shape[1]):
            logit = prediction[i, j]
            positive = logit if logit > zero else zero
            total += positive - logit * target[i, j] + log1p_unit(exp_nonpositive(-abs(logit)))
        row_loss[i] = total


@kernel("mn& mn m mn!")
def logistic_backward(prediction, target, row_scale, d):
    """Gradient of the logistic loss: ``d = row_scale[i] * (sigmoid(prediction) - target)``.

    Parameters
    ----------
    prediction, target, d : (rows, n) arrays of one float type
    row_scale : (rows,) array of that type

    Examples
    --------
    >>> import numpy as np
    >>> d = np.zeros((1, 2))
    >>> logistic_backward(np.zeros((1, 2)), np.array([[1.0, 0.0]]), np.ones(1), d)
    >>> d
    array([[-0.5,  0.5]])
    """
    for k in range(prediction.size):
        d.flat[k] = sigmoid(prediction.flat[k])
    for i in range(prediction.shape[0]):
        scale = row_scale[i]
        for j in range(prediction.shape[1]):
            d[i, j] = scale * (d[i, j] - target[i, j])


@kernel("mn mn m!", fastmath=REASSOCIATE)
def poisson_forward(prediction, target, row_loss):
    """Poisson loss of log rates `f` and counts `y`: ``row_loss[i] = sum_j exp(f) - y * f``.

    This is the negative log-likelihood without ``log(y!)``, which does not depend on `f`.

    Parameters
    ----------
    prediction : (rows, n) array of a float type
        Logarithms of the rates.
    target : (rows, n) array of that type
        Counts, or any numbers of at least 0.
    row_loss : (rows,) array of that type

    References
    ----------
    P. McCullagh and J. A. Nelder, "Generalized Linear Models", 1989, chapter 6.

    Examples
    --------
    >>> import numpy as np
    >>> row_loss = np.zeros(1)
    >>> poisson_forward(np.array([[0.0, 1.0]]), np.array([[3.0, 2.0]]), row_loss)
    >>> row_loss.round(4)
    array([1.7183])
    """
    for i in range(prediction.shape[0]):
        total = prediction.dtype.type(0)
        for j in range(prediction.shape[1]):
            total += exp(prediction[i, j]) - prediction[i, j] * target[i, j]
        row_loss[i] = total


@kernel("mn& mn m mn!")
def poisson_backward(prediction, target, row_scale, d):
    """Gradient of the Poisson loss: ``d = row_scale[i] * (exp(prediction) - target)``.

    Parameters
    ----------
    prediction, target, d : (rows, n) arrays of one float type
    row_scale : (rows,) array of that type

    Examples
    --------
    >>> import numpy as np
    >>> d = np.zeros((1, 2))
    >>> poisson_backward(np.zeros((1, 2)), np.array([[3.0, 0.0]]), np.ones(1), d)
    >>> d
    array([[-2.,  1.]])
    """
    for k in range(prediction.size):
        d.flat[k] = exp(prediction.flat[k])
    for i in range(prediction.shape[0]):
        scale = row_scale[i]
        for j in range(prediction.shape[1]):
            d[i, j] = scale * (d[i, j] - target[i, j])


@kernel("mn mn m!", fastmath=REASSOCIATE)
def gamma_forward(prediction, target, row_loss):
    """Gamma loss of log means `f` and numbers `y`: ``row_loss[i] = sum_j f + y * exp(-f)``.

    This is half the deviance of a Gamma distribution, without ``1 + log(y)``, which does not depend
    on `f`.  Exponentials and sums are float64: with float32, means near the ends of its range would
    overflow or vanish.

    Parameters
    ----------
    prediction : (rows, n) array of a float type
        Logarithms of the means.
    target : (rows, n) array of that type
        Numbers above 0.
    row_loss : (rows,) array of that type

    References
    ----------
    P. McCullagh and J. A. Nelder, "Generalized Linear Models", 1989, chapter 8.

    Examples
    --------
    >>> import numpy as np
    >>> row_loss = np.zeros(1)
    >>> gamma_forward(np.array([[0.0, 1.0]]), np.array([[3.0, 2.0]]), row_loss)
    >>> row_loss.round(4)
    array([4.7358])
    """
    for i in range(prediction.shape[0]):
        total = 0.0
        for j in range(prediction.shape[1]):
            log_mean = np.float64(prediction[i, j])
            total += log_mean + np.float64(target[i, j]) * exp(-log_mean)
        row_loss[i] = total


@kernel("mn mn m mn!")
def gamma_backward(prediction, target, row_scale, d):
    """Gradient of the Gamma loss: ``d = row_scale[i] * (1 - target * exp(-prediction))``.

    Parameters
    ----------
    prediction, target, d : (rows, n) arrays of one float type
    row_scale : (rows,) array of that type

    Examples
    --------
    >>> import numpy as np
    >>> d = np.zeros((1, 2))
    >>> gamma_backward(np.zeros((1, 2)), np.array([[3.0, 0.5]]), np.ones(1), d)
    >>> d
    array([[-2. ,  0.5]])
    """
    one, half = d.dtype.type(1), d.dtype.type(0.5)
    for k in range(prediction.size):
        d.flat[k] = exp(-half * prediction.flat[k])
    for i in range(prediction.shape[0]):
        scale = row_scale[i]
        for j in range(prediction.shape[1]):
            # Twice the root, since y / exp(f) may be in range where exp(f) is not.
            d[i, j] = scale * (one - target[i, j] * d[i, j] * d[i, j])


@kernel("m(2n) mn m!", fastmath=REASSOCIATE)
def gaussian_nll_forward(prediction, target, row_loss):
    """Gaussian loss of means `m` and log-variances `s`: ``sum_j (s + (m - y)**2 / exp(s)) / 2``.

    This is the negative log-likelihood without the constant ``log(2 * pi) / 2`` of each target.

    Parameters
    ----------
    prediction : (rows, 2 * n) array of a float type
        The n means, then the n logarithms of the variances.
    target : (rows, n) array of that type
    row_loss : (rows,) array of that type

    References
    ----------
    D. A. Nix and A. S. Weigend, "Estimating the Mean and Variance of the Target Probability
    Distribution", ICNN 1994.

    Examples
    --------
    >>> import numpy as np
    >>> row_loss = np.zeros(1)
    >>> gaussian_nll_forward(np.array([[1.0, 0.0]]), np.array([[3.0]]), row_loss)
    >>> row_loss
    array([2.])
    """
    half = prediction.dtype.type(0.5)
    n = target.shape[1]
    for i in range(prediction.shape[0]):
        total = prediction.dtype.type(0)
        for j in range(n):
            spread = prediction[i, n + j]
            # Half of s is the log of the standard deviation, whose exponential overflows later.
            error = (prediction[i, j] - target[i, j]) * exp(-half * spread)
            total += spread + error * error
        row_loss[i] = half * total


@kernel("m(2n)& mn m m(2n)!")
def gaussian_nll_backward(prediction, target, row_scale, d):
    """Gradient of the Gaussian loss: ``e / exp(s)`` for means, ``(1 - e**2 / exp(s)) / 2`` for s.

    Here ``e = m - y``.  The row is multiplied by ``row_scale[i]``.

    Parameters
    ----------
    prediction, d : (rows, 2 * n) arrays of one float type
    target : (rows, n) array of that type
    row_scale : (rows,) array of that type

    Examples
    --------
    >>> import numpy as np
    >>> d = np.zeros((1, 2))
    >>> gaussian_nll_backward(np.array([[1.0, 0.0]]), np.array([[3.0]]), np.ones(1), d)
    >>> d
    array([[-2. , -1.5]])
    """
    one, half = d.dtype.type(1), d.dtype.type(0.5)
    n = target.shape[1]
    for i in range(prediction.shape[0]):
        scale = row_scale[i]
        for j in range(n):
            inverse = exp(-half * prediction[i, n + j])
            error = (prediction[i, j] - target[i, j]) * inverse
            d[i, j] = scale * (error * inverse)
            d[i, n + j] = scale * (half * (one - error * error))
