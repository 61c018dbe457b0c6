"""What the course's texts state, and what shows it; ``python -m tests.statements`` writes the page.

A row is a statement, in few words, and a test or a section of the course.
"""

import re
from pathlib import Path

TESTS = Path(__file__).resolve().parent
COURSE = TESTS.parent / "docs" / "course"
PAGE = COURSE / "statements.md"

ROWS: dict[str, tuple[tuple[str, str], ...]] = {
    "ReLU and the absolute error": (
        (
            "the absolute error's gradient is the sign of the error",
            "relu-mae.md#the-gradient-is-right",
        ),
        ("at a corner any slope between is right; 0 is taken", "relu-mae.md#the-gradient-is-right"),
        ("a corner does not keep a network from learning", "relu-mae.md#the-corner-is-harmless"),
        ("squared and absolute errors find similar solutions", "relu-mae.md#what-it-is-instead"),
        (
            "the squared error tells whether the loss is the cause",
            "relu-mae.md#the-corner-is-harmless",
        ),
        (
            "unscaled inputs and targets are found",
            "test_diagnosis.py::test_a_planted_cause_is_named_first",
        ),
        (
            "a healthy training is left alone",
            "test_diagnosis.py::test_nothing_is_found_in_a_healthy_training",
        ),
        (
            "starts of deviation 1e-6 to 1e-1 are tried",
            "test_diagnosis_tools.py::test_a_sweep_ranks_settings",
        ),
        (
            "rates of 1e-6 to 1e-1 are tried",
            "test_diagnosis_tools.py::test_the_rate_that_is_suggested_learns",
        ),
        (
            "where no rate learns, none is suggested",
            "test_diagnosis_tools.py::test_no_rate_is_suggested_where_none_learns",
        ),
        ("batches of 10, 50 and 200 rows are tried", "relu-mae.md#what-it-is-instead"),
        (
            "L-BFGS finds the minimum of a smooth loss",
            "test_optimizers.py::test_lbfgs_finds_the_minimum_that_scipys_finds",
        ),
        ("L-BFGS is no worse here than others at first", "relu-mae.md#other-optimizers"),
        (
            "Rprop takes all rows at once",
            "test_optimizers.py::test_full_batch_optimizers_take_all_rows",
        ),
        (
            "SGD, Rprop, RMSprop and Adadelta go the ways of PyTorch's",
            "test_updates.py::test_the_way_is_pytorchs",
        ),
        (
            "settings are searched over optimizers, penalties, dropout and sizes, by "
            "cross-validation",
            "test_diagnosis_tools.py::test_a_sweep_over_penalties_dropout_and_hidden_sizes_by_cross_validation",
        ),
    ),
    "Signed, absolute and squared losses": (
        ("the signed error sums f - y", "test_losses.py::test_by_hand"),
        ("its gradient is 1", "losses.md#three-losses"),
        ("the absolute error's gradient is the sign", "losses.md#three-losses"),
        ("the squared error's gradient is 2 (f - y)", "losses.md#three-losses"),
        ("w's gradient is that times x", "losses.md#three-losses"),
        ("the signed error can be negative", "test_losses.py::test_by_hand"),
        ("under it w falls without end", "losses.md#the-signed-error-has-no-minimum"),
        (
            "fastnn warns of a loss without a least value",
            "test_losses.py::test_a_loss_without_a_least_value_warns",
        ),
        ("the printed step sums x over all rows", "losses.md#the-signed-error-has-no-minimum"),
        (
            "the squared error arrives in 20 epochs at rate 0.01",
            "losses.md#the-signed-error-has-no-minimum",
        ),
        (
            "the absolute error's path is a straight line",
            "losses.md#the-absolute-error-cannot-stand-still",
        ),
        (
            "its steps keep their length near the goal",
            "losses.md#the-absolute-error-cannot-stand-still",
        ),
        (
            "the squared error's steps shrink near the goal",
            "losses.md#the-absolute-error-cannot-stand-still",
        ),
        ("little noise changes little", "../experiments.md#signed-absolute-and-squared-error"),
        ("much noise moves the squared error's least point to the mean", "losses.md#noise"),
        ("and the absolute error's to the medians", "losses.md#noise"),
        (
            "the squared error is more sensitive to noise",
            "../experiments.md#signed-absolute-and-squared-error",
        ),
        ("its estimate is the better one, on average", "losses.md#noise"),
        (
            "a smaller rate needs more epochs and moves less",
            "../experiments.md#signed-absolute-and-squared-error",
        ),
        ("a rate of initial / (1 + decay t) falls", "losses.md#smaller-rates-falling-rates"),
        ("schedules give the rate of each update", "test_statements.py::test_schedules"),
        ("a batch's loss is a sum, a mean elsewhere", "losses.md#sum-or-mean"),
        (
            "a batch's loss may be a sum: the step is that of the mean times its rows",
            "test_reduction.py::test_it_moves_weights_as_many_times_as_far_as_there_are_rows",
        ),
        (
            "the sum's step by hand",
            "test_reduction.py::test_a_linear_model_by_hand",
        ),
    ),
    "Three kinds of L1": (
        ("L1 adds lambda times the sum of |w|", "test_statements.py::test_penalties"),
        ("its gradient is lambda sign(w), 0 at 0", "l1.md#in-the-gradient"),
        (
            "add lambda for a weight above 0, subtract it below",
            "test_regularizers.py::test_each_form_of_l1_moves_weights_toward_zero",
        ),
        ("biases are not penalized", "test_regularizers.py::test_penalties_of_the_network"),
        (
            "the derivative of a sum is the sum of derivatives",
            "test_kernel_gradients.py::test_gradient_of_penalty",
        ),
        ("the shrink is a constant per step", "l1.md#constant-shrink"),
        ("the rule as printed, with a plus, makes weights grow", "l1.md#constant-shrink"),
        ("no form here does", "test_regularizers.py::test_no_form_of_l1_makes_large_weights_grow"),
        (
            "a shrink is L1 divided by the rate",
            "test_regularizers.py::test_a_shrink_is_l1_over_the_rate",
        ),
        (
            "fits that are too good have large weights: not always",
            "l1.md#large-weights-and-fitting-too-well",
        ),
        ("L1 and L2 are the common penalties", "l1.md#whose-strength-is-whose"),
        ("regularization lowers the test error", "l1.md#what-they-do-to-a-network"),
        (
            "only proximal L1 gives exact zeros",
            "test_regularizers.py::test_proximal_alone_gives_exact_zeros",
        ),
        (
            "the soft threshold is the least point of its definition",
            "test_regularizers.py::test_a_soft_threshold_is_the_least_point_of_its_definition",
        ),
        ("libraries seldom say which form they have", "l1.md#whose-strength-is-whose"),
    ),
    "Practice: data and start": (
        ("centering subtracts each column's mean", "practice.md#center-and-scale"),
        ("scaling divides by the deviation over N", "practice.md#center-and-scale"),
        ("or maps each column to [-1, 1]", "practice.md#center-and-scale"),
        ("the transformers are scikit-learn's", "test_preprocessing.py::test_scikit_learn_agrees"),
        ("statistics are those of the training rows", "test_prepared_network.py"),
        (
            "the covariance is symmetric and its diagonal the variances",
            "test_statements.py::test_covariance",
        ),
        ("it has no negative eigenvalue", "test_statements.py::test_covariance"),
        ("SVD gives eigenvectors, sorted by eigenvalue", "practice.md#covariance-pca-whitening"),
        ("they are orthonormal", "test_statements.py::test_covariance"),
        ("rotated columns are not correlated", "test_statements.py::test_covariance"),
        ("few components keep most of the variance", "practice.md#covariance-pca-whitening"),
        (
            "whitening divides by the root of eigenvalue plus epsilon",
            "test_statements.py::test_covariance",
        ),
        ("whitened data have the identity as covariance", "practice.md#covariance-pca-whitening"),
        ("equal weights get equal gradients", "test_statements.py::test_equal_units_stay_equal"),
        ("a start of zeros does not move", "practice.md#equal-weights-stay-equal"),
        ("a sum's variance is n var(w) var(x)", "test_statements.py::test_variances_of_sums"),
        (
            "weights that are too small shrink the gradients",
            "practice.md#what-a-bad-start-looks-like",
        ),
        ("1 / sqrt(n) keeps the variance", "test_initializers.py::test_moments"),
        ("Glorot: 2 / (n_in + n_out)", "practice.md#what-a-bad-start-looks-like"),
        ("He: 2 / n, for ReLU", "practice.md#what-a-bad-start-looks-like"),
        (
            "uniform and normal starts have the same variance",
            "test_initializers.py::test_named_initializers_are_variance_scaling",
        ),
        ("sparse: a fixed number of inputs a unit", "test_initializers.py::test_sparse"),
        ("biases start at 0, or at a small constant", "test_initializers.py::test_constants"),
        (
            "batch normalization gives mean 0 and variance 1",
            "test_statements.py::test_batch_normalization",
        ),
        ("its gradient is right", "test_layers.py::test_gradient"),
        ("with it bad starts matter less", "practice.md#batch-normalization"),
        (
            "prediction uses moving averages",
            "test_layers.py::test_moving_averages_follow_the_batches_and_prediction_uses_them",
        ),
        (
            "images have one mean for all pixels, or one for each channel",
            "test_preprocessing.py::test_formulas",
        ),
        (
            "the covariance divides by N or N - 1",
            "test_preprocessing.py::test_covariances_by_the_number_of_rows",
        ),
        (
            "training, validation and test rows come from one call",
            "test_datasets.py::test_three_parts_deal_every_row_once_and_keep_rows_together",
        ),
    ),
    "Practice: penalties and noise": (
        ("L2 adds lambda / 2 times w squared", "test_statements.py::test_penalties"),
        ("its gradient is lambda w", "penalties.md#l2"),
        ("under it each step scales the weights", "test_statements.py::test_weight_decay"),
        ("L2 prefers diffuse weights", "test_statements.py::test_l2_prefers_diffuse_weights"),
        ("L1 makes weights sparse", "test_regularizers.py::test_proximal_alone_gives_exact_zeros"),
        ("elastic net is the sum of both", "test_regularizers.py::test_what_is_added_to_the_loss"),
        ("without selection L2 does better than L1: not here", "l1.md#what-they-do-to-a-network"),
        ("max-norm clamps after the update", "test_regularizers.py::test_constraints"),
        ("usual bounds are 3 and 4", "penalties.md#max-norm"),
        ("weights cannot explode under it", "penalties.md#max-norm"),
        ("biases can", "penalties.md#max-norm"),
        (
            "dropout keeps a unit with probability p",
            "test_dropout.py::test_as_many_are_kept_as_the_rate_says",
        ),
        ("scaled at test, the mean is p x", "test_statements.py::test_dropout_in_prediction"),
        ("inverted, prediction needs no scale", "penalties.md#dropout-and-dropconnect"),
        (
            "prediction is the mean of what training uses",
            "test_dropout.py::test_prediction_is_the_mean_of_what_training_uses",
        ),
        ("the backward pass uses the same masks", "test_layers.py::test_gradient"),
        ("inputs may be dropped too", "test_statements.py::test_dropout_in_prediction"),
        ("DropConnect drops weights", "penalties.md#dropout-and-dropconnect"),
        (
            "a layer may have a penalty of its own",
            "test_regularizers.py::test_penalties_of_the_network",
        ),
        (
            "biases may be penalized",
            "test_regularizers.py::test_each_form_of_l1_moves_weights_toward_zero",
        ),
        (
            "max-norm may bound a unit with its bias",
            "test_regularizers.py::test_max_norm_of_whole_units_holds_biases_under_a_rate_that_is_too_high",
        ),
        (
            "noise may be averaged over several passes: mean and spread",
            "test_predict_mc.py::test_it_is_the_mean_and_spread_of_a_sum_with_terms_dropped",
        ),
    ),
    "Practice: losses": (
        ("the data loss is the mean over rows", "losses.md#sum-or-mean"),
        ("hinge of several classes", "test_statements.py::test_losses_by_hand"),
        ("squared hinge", "objectives.md#classes"),
        ("cross-entropy of a softmax", "test_statements.py::test_losses_by_hand"),
        ("hierarchical softmax for many classes", "test_hierarchical.py"),
        ("hinge for each attribute", "test_statements.py::test_losses_by_hand"),
        ("logistic loss for each attribute", "test_statements.py::test_losses_by_hand"),
        ("its gradient is sigmoid(f) - y", "objectives.md#attributes"),
        (
            "positive is a score above 0, a probability above 0.5",
            "test_statements.py::test_scores_and_probabilities",
        ),
        ("squared L2 norm for numbers", "test_statements.py::test_losses_by_hand"),
        ("L1 norm for numbers", "test_statements.py::test_losses_by_hand"),
        ("their gradients are the distance and its sign", "objectives.md#numbers"),
        ("outliers pull the squared error hard", "objectives.md#numbers"),
        ("binning may serve better than regression", "objectives.md#numbers-as-classes"),
        ("classes give a distribution", "test_binned.py"),
        ("dropout before a squared error does less good", "penalties.md#dropout-and-dropconnect"),
        ("structured hinge demands a margin", "test_losses.py::test_by_hand"),
    ),
    "Backprop": (
        ("gradient descent: b - rate * slope", "backprop.md#descent"),
        ("every optimizer comes to the bottom", "test_updates.py::test_gets_to_the_bottom"),
        ("SGD updates after each row", "backprop.md#descent"),
        ("it comes near the solution in few passes", "backprop.md#descent"),
        (
            "the loss is data loss plus penalty",
            "test_regularizers.py::test_what_is_added_to_the_loss",
        ),
        ("negative log-likelihood: -log f_y", "test_statements.py::test_losses_by_hand"),
        ("its gradient in f is -e(y) / f_y", "backprop.md#softmax-and-its-likelihood"),
        ("in the scores it is f - e(y)", "test_statements.py::test_softmax_gradient"),
        ("a layer is g(W h + b)", "backprop.md#layer-by-layer"),
        ("the gradient below is W times that above", "test_statements.py::test_backprop_by_hand"),
        ("times the activation's slope", "test_statements.py::test_backprop_by_hand"),
        ("a weight's gradient is an outer product", "test_statements.py::test_backprop_by_hand"),
        ("a bias's gradient is that of the sum", "test_statements.py::test_backprop_by_hand"),
        ("linear: slope 1", "test_statements.py::test_slopes"),
        ("sigmoid: g (1 - g)", "test_statements.py::test_slopes"),
        ("tanh: 1 - g squared", "test_statements.py::test_slopes"),
        ("tanh is (exp(2a) - 1) / (exp(2a) + 1)", "test_statements.py::test_slopes"),
        ("ReLU: 1 above 0", "test_statements.py::test_slopes"),
        ("forward propagation is a graph of boxes", "backprop.md#a-flow-graph"),
        ("bprop runs in reverse order", "backprop.md#a-flow-graph"),
        ("L2 with the factor 1 has the gradient 2 W", "test_statements.py::test_penalties"),
        ("it is a Gaussian prior", "penalties.md#l2"),
        ("L1 is a Laplace prior", "penalties.md#l2"),
        (
            "the general penalty: lambda / 2 times |w| to the q",
            "test_statements.py::test_penalties",
        ),
        ("q = 1 is the lasso, q = 2 quadratic", "penalties.md#lq-elastic-net"),
        (
            "L1 pushes some weights to exactly 0",
            "test_regularizers.py::test_proximal_alone_gives_exact_zeros",
        ),
        ("with tanh, weights of 0 have gradients of 0", "practice.md#equal-weights-stay-equal"),
        ("units with equal weights stay equal", "test_statements.py::test_equal_units_stay_equal"),
        ("uniform on sqrt(6) / sqrt(n_in + n_out)", "test_initializers.py::test_bounds"),
        (
            "three parts: train, validate, test",
            "test_datasets.py::test_three_parts_deal_every_row_once_and_keep_rows_together",
        ),
        (
            "settings are searched on validation rows",
            "test_diagnosis_tools.py::test_a_sweep_agrees_with_fit",
        ),
        (
            "early stopping keeps the best epoch",
            "backprop.md#choosing-and-stopping",
        ),
        ("normalize by training mean and deviation", "practice.md#center-and-scale"),
        (
            "halve the rate when validation stops improving",
            "test_callbacks.py::test_the_rate_is_lowered_on_a_plateau",
        ),
        ("gradients equal central differences", "test_gradients.py::test_gradient"),
        ("central differences are nearer than one-sided", "test_statements.py::test_differences"),
        (
            "a planted error is found",
            "test_diagnosis_gradients.py::test_an_activation_of_one_s_own",
        ),
        ("a few rows can be memorized", "test_diagnosis_tools.py::test_a_few_rows_by_heart"),
        (
            "saturated units are counted before the first update",
            "test_diagnosis_tools.py::test_units_are_counted",
        ),
        ("a bouncing loss is told", "test_diagnosis_tools.py::test_oscillation"),
        ("some gradients may be wrong all the same", "backprop.md#a-small-set-by-heart"),
        (
            "the gradient of a whole network, array by array",
            "test_flow.py::test_gradients_are_the_boxes_and_what_descent_follows",
        ),
        (
            "each box has fprop and bprop",
            "test_flow.py::test_the_box_of_every_activation_has_its_derivative",
        ),
        (
            "cross-entropy of probabilities has the gradient -e(y) / f",
            "test_flow.py::test_backpropagation_of_a_softmax_network_step_by_step",
        ),
        (
            "descent on any function returns its path",
            "test_minimize.py::test_gradient_descent_by_hand_and_what_is_returned",
        ),
    ),
}

INTRODUCTION = """\
# Statements

What the five texts say, {count} statements, each with the test or the section of the course that
shows it. `python -m tests.statements` writes this page, and a test fails if what a row names is
missing.
"""


def headings(page: Path) -> set[str]:
    """Return the anchors of a page's headings."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-") for title in titles}


def missing(where: str) -> bool:
    """Say whether there is no such test, or no such section."""
    name, _, part = where.replace("::", "#").partition("#")
    path = (COURSE if name.endswith(".md") else TESTS) / name
    if not path.is_file():
        return True
    if name.endswith(".md"):
        return part not in headings(path)
    return bool(part) and f"\ndef {part}(" not in path.read_text(encoding="utf-8")


def page() -> str:
    """Return the page."""
    lines = [INTRODUCTION.format(count=sum(map(len, ROWS.values())))]
    for text, rows in ROWS.items():
        lines += [f"## {text}", "", "| statement | shown by |", "|---|---|"]
        for statement, where in rows:
            told = statement.replace("|", "\\|")
            shown = f"[{where}]({where})" if ".md" in where else f"`{where}`"
            lines.append(f"| {told} | {shown} |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
