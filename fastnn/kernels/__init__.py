"""The compiled kernels, each an explicit loop.

Their NumPy twins, of the same names and signatures, are in :mod:`fastnn.reference`.  From Python
call the names of this module, which check their arguments and use several cores for large arrays;
from other compiled code the functions of the submodules, which do neither.
"""

from fastnn.kernels import activations, losses, matmul, norms, regularizers, rows, updates
from fastnn.kernels.public import Kernel

# For each kernel a word an argument (see Kernel): its axes; "-" a number; "!" written;
# "m<n" labels or indices below n; "?" may be empty; "*" any dtype.
_ROWS = {
    activations: {
        "identity_forward": "mn mn!",
        "identity_backward": "mn mn mn mn!",
        "relu_forward": "mn - mn!",
        "relu_backward": "mn mn - mn mn!",
        "sigmoid_forward": "mn mn!",
        "sigmoid_backward": "mn mn mn mn!",
        "tanh_forward": "mn mn!",
        "tanh_backward": "mn mn mn mn!",
        "softmax_forward": "mn mn!",
        "softmax_backward": "mn mn mn mn!",
    },
    losses: {
        "mse_forward": "mn mn m!",
        "mse_backward": "mn mn m mn!",
        "mae_forward": "mn mn m!",
        "mae_backward": "mn mn m mn!",
        "logistic_forward": "mn mn m!",
        "logistic_backward": "mn mn m mn!",
        "softmax_cross_entropy_forward": "mn m<n m!",
        "softmax_cross_entropy_backward": "mn m<n m mn!",
    },
    updates: {
        "sgd_update": "- m m!",
        "momentum_update": "- - m m! m!",
        "nesterov_update": "- - m m! m!",
        "adam_update": "- - - - - m m! m! m!",
    },
    regularizers: {"l1_shrink": "- m!", "l1_proximal": "- - m!"},
    norms: {
        "bound": "- - m!",
        "row_norms": "mn m! m!",
        "norm_ratios": "m m!",
        "scale_columns": "n - - mn!",
        "scale_rows": "m mn!",
    },
    rows: {
        "gather_rows": "nk* m<n mk!*",
        "gather": "n* m<n m!*",
        "gather_columns": "mk n<k mn!",
    },
}
_MATRICES = {
    "matmul_nn": "mk kn mn!",
    "matmul_tn": "km kn mn!",
    "matmul_nt": "mk nk mn!",
    "matmul_tn_add": "km kn - mn!",
    "dense_forward": "mk kn n? - mn!",
}
_WHOLE = {
    matmul: {"transpose": "mn nm!"},
    regularizers: {
        "l1_value": "- n o!*",
        "l1_gradient": "- n n!",
        "l2_value": "- n o!*",
        "l2_gradient": "- n n!",
        "lq_value": "- - n o!*",
        "lq_gradient": "- - n n!",
    },
    norms: {"column_norms": "mn - - n! n!"},
    rows: {
        "batch_rows": "- - - - - m!*",
        "row_scales": "n m m!",
        "batch_loss": "m m o!*",
        "column_sums": "mn - - n!",
    },
}

KERNELS = {
    **{
        name: Kernel(getattr(module, name), words)
        for module, table in _ROWS.items()
        for name, words in table.items()
    },
    **{
        name: Kernel(getattr(matmul, name), words, strided=True)
        for name, words in _MATRICES.items()
    },
    **{
        name: Kernel(getattr(module, name), words, parallel=False)
        for module, table in _WHOLE.items()
        for name, words in table.items()
    },
}
"""Every kernel by name, for calls from Python."""

COMPILED = {name: kernel.compiled for name, kernel in KERNELS.items()}
"""Every kernel by name, for calls from compiled code."""

globals().update(KERNELS)
__all__ = sorted(KERNELS)  # noqa: PLE0605
