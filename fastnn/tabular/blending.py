"""How much each kind of member counts, by what they say of rows that they have not seen."""

import numpy as np

_STEPS = 200
_NEWTON_STEPS = 30
_CLOSE = 1e-9


def softmax(outputs: np.ndarray) -> np.ndarray:
    """Return probabilities, (n, n_classes), for logits."""
    powers = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def for_squares(outputs: np.ndarray, y: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    """Return the shares of kinds, at least 0 and 1 together, with the least squared error.

    Parameters
    ----------
    outputs : array, (kinds, n, n_outputs)
    y : array, (n, n_outputs)
    weight : array, (n,), optional

    Notes
    -----
    By the algorithm of Frank and Wolfe (1956), from equal shares.
    """
    kinds = len(outputs)
    off = (outputs - y) * (1.0 if weight is None else np.sqrt(weight)[:, None])
    off = off.reshape(kinds, -1)
    products, share = off @ off.T, np.full(kinds, 1 / kinds)
    for _ in range(_STEPS):
        gradient = products @ share
        towards = np.eye(kinds)[gradient.argmin()] - share
        curvature = towards @ products @ towards
        if not curvature > 0:
            break
        share = share + min(1.0, max(0.0, -(gradient @ towards) / curvature)) * towards
    return share


def for_log_loss(outputs: np.ndarray, labels: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    """Return the factors of kinds' logits, at least 0, with the least log loss of their sum.

    With one kind, this is temperature scaling.  A pull towards the mean of the logits, as strong as
    one row, keeps the factors finite if all labels are right.

    Parameters
    ----------
    outputs : array, (kinds, n, n_classes)
    labels : int array, (n,)
    weight : array, (n,), optional
    """
    kinds, n, _ = outputs.shape
    share = np.full(n, 1 / n) if weight is None else weight / weight.sum()
    start = np.full(kinds, 1 / kinds)
    own = outputs[:, np.arange(n), labels] @ share

    def loss(factor):
        logits = np.tensordot(factor, outputs, 1)
        most = logits.max(axis=1)
        total = most + np.log(np.exp(logits - most[:, None]).sum(axis=1))
        return total @ share - own @ factor + ((factor - start) ** 2).sum() / (2 * n)

    factor, value = start, loss(start)
    for _ in range(_NEWTON_STEPS):
        p = softmax(np.tensordot(factor, outputs, 1))
        mean = (outputs * p).sum(axis=2)
        gradient = mean @ share - own + (factor - start) / n
        second = np.einsum("knc,lnc,nc->kl", outputs, outputs, p * share[:, None], optimize=True)
        hessian = second - (mean * share) @ mean.T + np.eye(kinds) / n
        free = (factor > 0) | (gradient < 0)
        step = np.zeros(kinds)
        step[free] = np.linalg.solve(hessian[np.ix_(free, free)], -gradient[free])
        size = 1.0
        while size > _CLOSE:
            found = np.maximum(0.0, factor + size * step)
            if (new := loss(found)) <= value:
                break
            size /= 2
        if size <= _CLOSE or value - new <= _CLOSE:
            break
        factor, value = found, new
    return factor
