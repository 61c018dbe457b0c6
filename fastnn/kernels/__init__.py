"""The compiled kernels, each an explicit loop.

Their NumPy twins, of the same names and signatures, are in :mod:`fastnn.reference`.  From Python
call the names of this module, which check their arguments and use several cores for large arrays;
from other compiled code the functions of the submodules, which do neither.
"""

from fastnn.kernels import (
    activations,
    adaptive,
    clipping,
    dropout,
    hierarchical,
    hinges,
    likelihoods,
    losses,
    matmul,
    normalization,
    norms,
    regularizers,
    robust_losses,
    rows,
    schedules,
    smooth_activations,
    updates,
)
from fastnn.kernels.public import Kernel

# For each kernel a word an argument (see Kernel): its axes, "(qn)" one as long
# as the product of two; "-" a number; "!" written; "m<n" labels or indices below n; "?" may be
# empty; "*" any dtype.
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
    smooth_activations: {
        "exponential_forward": "mn mn!",
        "exponential_backward": "mn mn mn mn!",
        "elu_forward": "mn - mn!",
        "elu_backward": "mn mn - mn mn!",
        "softplus_forward": "mn mn!",
        "softplus_backward": "mn mn mn mn!",
        "silu_forward": "mn mn!",
        "silu_backward": "mn mn mn mn!",
        "gelu_forward": "mn mn!",
        "gelu_backward": "mn mn mn mn!",
        "gelu_tanh_forward": "mn mn!",
        "gelu_tanh_backward": "mn mn mn mn!",
    },
    losses: {
        "mse_forward": "mn mn m!",
        "mse_backward": "mn mn m mn!",
        "mae_forward": "mn mn m!",
        "mae_backward": "mn mn m mn!",
        "half_mse_forward": "mn mn m!",
        "half_mse_backward": "mn mn m mn!",
        "signed_error_forward": "mn mn m!",
        "signed_error_backward": "mn mn m mn!",
    },
    robust_losses: {
        "huber_forward": "mn mn - m!",
        "huber_backward": "mn mn - m mn!",
        "smooth_l1_forward": "mn mn - m!",
        "smooth_l1_backward": "mn mn - m mn!",
        "log_cosh_forward": "mn mn m!",
        "log_cosh_backward": "mn mn m mn!",
        "quantile_forward": "m(qn) mn q m!",
        "quantile_backward": "m(qn) mn q m m(qn)!",
    },
    likelihoods: {
        "softmax_cross_entropy_forward": "mn m<n - m!",
        "softmax_cross_entropy_backward": "mn m<n - m mn!",
        "logistic_forward": "mn mn m!",
        "logistic_backward": "mn mn m mn!",
        "poisson_forward": "mn mn m!",
        "poisson_backward": "mn mn m mn!",
        "gaussian_nll_forward": "m(2n) mn m!",
        "gaussian_nll_backward": "m(2n) mn m m(2n)!",
    },
    hinges: {
        "multiclass_hinge_forward": "mn m<n - m!",
        "multiclass_hinge_backward": "mn m<n - m mn!",
        "multiclass_squared_hinge_forward": "mn m<n - m!",
        "multiclass_squared_hinge_backward": "mn m<n - m mn!",
        "attribute_hinge_forward": "mn mn m!",
        "attribute_hinge_backward": "mn mn m mn!",
        "structured_hinge_forward": "mn m<n nn m!",
        "structured_hinge_backward": "mn m<n nn m mn!",
    },
    updates: {
        "sgd_update": "- m m!",
        "momentum_update": "- - m m! m!",
        "nesterov_update": "- - m m! m!",
        "rprop_update": "- - - - m m! m! m!",
        "store_update": "m m! m",
    },
    adaptive: {
        "adagrad_update": "- - m m! m!",
        "adadelta_update": "- - - m m! m! m!",
        "rmsprop_update": "- - - m m! m!",
        "rmsprop_momentum_update": "- - - - m m! m! m!",
        "centered_rmsprop_update": "- - - m m! m! m!",
        "centered_rmsprop_momentum_update": "- - - - m m! m! m! m!",
        "adam_update": "- - - - - - m m! m! m!",
        "amsgrad_update": "- - - - - - m m! m! m! m!",
        "nadam_update": "- - - - - - - m m! m! m!",
    },
    clipping: {
        "row_squares": "mn m!*",
        "scale_gradient": "- m!",
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
        "claim_lines": "m!",
    },
    dropout: {"dropout_mean": "- mn mn!"},
    hierarchical: {
        "tree_forward": "mk m<t nk n t<n t md! m!",
        "tree_backward": "m<t nk t<n t m md! mk!",
        "tree_probabilities": "n n<c n<c mn! mc!",
    },
    normalization: {
        "batch_norm_forward": "mn n n n n mn!",
        "batch_norm_backward": "mn n n n n n - mn mn!",
        "inverse_deviation": "- m m!",
        "moving_update": "- - m m!",
    },
}
_MATRICES = {
    "matmul_nn": "mk kn mn!",
    "matmul_tn": "km kn mn!",
    "matmul_nt": "mk nk mn!",
    "matmul_tn_add": "km kn - mn!",
    "dense_forward": "mk kn n? - - mn!",
    "dense_backward": "mk nk mn= - mn!",
}
_WHOLE = {
    matmul: {"transpose": "mn nm!"},
    clipping: {"norm_scale": "- n o!*"},
    schedules: {
        "constant_rate": "- - - n!*",
        "inverse_time_rate": "- - - - - - n!*",
        "exponential_rate": "- - - - - - n!*",
        "cosine_rate": "- - - - - n!*",
        "one_cycle_rate": "- - - - - - - n!*",
        "warm_up_rate": "- - - - n!*",
        "nadam_factors": "- - - p!*",
    },
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
        "batch_loss": "m m p!*",
        "flag_not_finite": "mn o!*",
        "column_sums": "mn - - n!",
    },
    dropout: {"dropout": "- - - - - - mn mn!"},
    hierarchical: {
        "tree_update": "- mk m<t t<n md - - nk! n!",
        "tree_gradient": "mk m<t t<n md - - nk! n!",
    },
    normalization: {
        "batch_moments": "mn - - n! n!",
        "batch_norm_gradients": "mn n n mn - - n! n!",
    },
}

KERNELS = {
    **{
        name: Kernel(getattr(module, name), words)
        for module, table in _ROWS.items()
        for name, words in table.items()
    },
    **{
        name: Kernel(getattr(matmul, name), words, strided=True, prepare=matmul.prepare)
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
