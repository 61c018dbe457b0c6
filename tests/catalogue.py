"""What fastnn must provide, row by row; ``python -m tests.catalogue`` writes the page."""

import importlib
import re
from pathlib import Path

PAGE = Path(__file__).resolve().parent.parent / "docs" / "catalogue.md"

ROWS = {
    "Data": {
        "center": "fastnn.preprocessing.Center",
        "standardize": "fastnn.preprocessing.Standardize",
        "scale to a range": "fastnn.preprocessing.MinMax",
        "robust scale, smooth clip": "fastnn.preprocessing.RobustScale",
        "fill in missing values": "fastnn.preprocessing.Impute",
        "categories as codes": "fastnn.preprocessing.Ordinal",
        "categories, one-hot": "fastnn.preprocessing.OneHot",
        "categories as means of the target": "fastnn.preprocessing.TargetMean",
        "principal components": "fastnn.preprocessing.PCA",
        "whiten": "fastnn.preprocessing.Whiten",
        "chain, including other libraries' transformers": "fastnn.preprocessing.Chain",
        "split in two": "fastnn.datasets.train_test_split",
        "split in three": "fastnn.datasets.train_validation_test_split",
        "binned target": "fastnn.preprocessing.BinnedTarget",
    },
    "Start": {
        name: f"fastnn.initializers.{kind}"
        for name, kind in {
            "zeros": "Zeros",
            "constant": "Constant",
            "normal": "Normal",
            "uniform": "Uniform",
            "variance scaling": "VarianceScaling",
            "LeCun, normal": "LecunNormal",
            "LeCun, uniform": "LecunUniform",
            "Glorot, normal": "GlorotNormal",
            "Glorot, uniform": "GlorotUniform",
            "He, normal": "HeNormal",
            "He, uniform": "HeUniform",
            "orthogonal": "Orthogonal",
            "sparse": "Sparse",
            "default by activation": "default_for",
        }.items()
    },
    "Layers": {
        "dense, DropConnect": "fastnn.Dense",
        "dropout": "fastnn.Dropout",
        "batch normalization": "fastnn.BatchNormalization",
        "layer normalization": "fastnn.LayerNormalization",
        "a scale for each input": "fastnn.Scale",
        "embedding of categories": "fastnn.Embedding",
        "periodic embedding of numbers": "fastnn.PeriodicEmbedding",
        "piecewise-linear embedding of numbers": "fastnn.PiecewiseLinearEmbedding",
        "separate activation": "fastnn.Activation",
        "parametric activation, PReLU": "fastnn.ParametricActivation",
        "a network of layers": "fastnn.Network",
    },
    "Activations": {
        kind: f"fastnn.activations.{kind}"
        for kind in (
            "Linear Sigmoid Tanh ReLU LeakyReLU ELU SELU GELU Softplus SiLU Mish Exponential "
            "Softmax Custom"
        ).split()
    },
    "Losses": {
        name: f"fastnn.losses.{kind}"
        for name, kind in {
            "signed error": "SignedError",
            "absolute error": "MAE",
            "squared error": "MSE",
            "half the squared error": "HalfMSE",
            "Huber": "Huber",
            "smooth L1": "SmoothL1",
            "log-cosh": "LogCosh",
            "quantiles": "Quantile",
            "Poisson": "Poisson",
            "Gamma": "Gamma",
            "Gaussian likelihood": "GaussianNLL",
            "multiclass hinge": "MulticlassHinge",
            "multiclass squared hinge": "MulticlassSquaredHinge",
            "softmax cross-entropy, label smoothing": "SoftmaxCrossEntropy",
            "cross-entropy of probabilities": "ProbabilityCrossEntropy",
            "attribute hinge": "AttributeHinge",
            "attribute logistic": "Logistic",
            "structured hinge": "StructuredHinge",
            "custom loss": "Custom",
        }.items()
    }
    | {
        "hierarchical softmax": "fastnn.HierarchicalSoftmax",
    },
    "Regularizers and constraints": {
        "L2": "fastnn.L2",
        "L1: in the gradient, shrink, proximal": "fastnn.L1",
        "elastic net": "fastnn.L1L2",
        "Lq": "fastnn.Lq",
        "group L1": "fastnn.GroupL1",
        "decoupled weight decay": "fastnn.AdamW",
        "max-norm": "fastnn.MaxNorm",
        "unit norm": "fastnn.UnitNorm",
        "non-negative": "fastnn.NonNeg",
        "compact": "fastnn.Network.compact",
    },
    "Optimizers and schedules": {
        name: f"fastnn.{kind}"
        for name, kind in {
            "gradient descent": "GD",
            "stochastic gradient descent, momentum, Nesterov": "SGD",
            "Adagrad": "Adagrad",
            "Adadelta": "Adadelta",
            "RMSprop": "RMSprop",
            "Rprop": "Rprop",
            "Adam, AMSGrad": "Adam",
            "AdamW": "AdamW",
            "NAdam": "NAdam",
            "L-BFGS": "LBFGS",
            "clipping by value or global norm": "optimizers.Optimizer",
            "inverse-time decay": "InverseTimeDecay",
            "exponential decay, smooth or in steps": "ExponentialDecay",
            "cosine decay": "CosineDecay",
            "warm-up": "WarmUp",
            "cycles that get longer": "CosLog",
            "one cycle": "OneCycle",
            "halving on a plateau": "ReduceLROnPlateau",
            "custom schedule": "Schedule",
        }.items()
    },
    "Metrics": {
        name: f"fastnn.metrics.{kind}"
        for name, kind in {
            "by name or function": "get",
            "mean absolute error": "mean_absolute_error",
            "mean squared error": "mean_squared_error",
            "root mean squared error": "root_mean_squared_error",
            "coefficient of determination": "r2",
            "accuracy": "accuracy",
            "accuracy of signs": "sign_accuracy",
            "top k": "TopK",
            "log-loss": "log_loss",
        }.items()
    },
    "Training": {
        "fit; warm start, validation, weights of rows and classes": "fastnn.Network.fit",
        "one batch": "fastnn.Network.train_on_batch",
        "more data, piece by piece": "fastnn.Network.partial_fit",
        "many networks": "fastnn.fit_many",
        "the best of many networks": "fastnn.successive_halving",
        "early stopping": "fastnn.EarlyStopping",
        "checkpoints": "fastnn.ModelCheckpoint",
        "history": "fastnn.History",
        "callbacks": "fastnn.Callback",
        "progress bar": "fastnn.callbacks.ProgressBar",
        "steps of a batch and their times": "fastnn.Network.explain",
        "predict": "fastnn.Network.predict",
        "Monte Carlo dropout": "fastnn.Network.predict_mc",
        "evaluate": "fastnn.Network.evaluate",
        "start over": "fastnn.Network.reset",
        "untrained copy": "fastnn.Network.clone",
        "save": "fastnn.Network.save",
        "load": "fastnn.load",
        "networks of PyTorch": "fastnn.from_torch",
        "networks of Keras": "fastnn.from_keras",
        "networks in ONNX": "fastnn.from_onnx",
        "start from data": "fastnn.initialize_from_data",
        "unsupervised pre-training": "fastnn.pretrain",
        "gradients": "fastnn.Network.gradients",
        "a flow graph": "fastnn.flow.Graph",
        "a layer's forward and backward pass": "fastnn.flow.LayerBox",
        "an activation's": "fastnn.flow.ActivationBox",
        "a loss's": "fastnn.flow.LossBox",
        "a penalty's": "fastnn.flow.PenaltyBox",
        "minimize any function": "fastnn.minimize",
        "each kernel, by its name": "fastnn.kernels.softmax_forward",
        "each kernel's NumPy twin": "fastnn.reference.softmax_forward",
        "a kernel against NumPy": "fastnn.compare_kernel",
    },
    "Why a network does not learn": {
        "gradients against finite differences": "fastnn.check_gradients",
        "memorize a few rows": "fastnn.overfit_small",
        "saturated and dead units": "fastnn.check_units",
        "saturated and dead units during training": "fastnn.WatchUnits",
        "oscillation": "fastnn.diagnosis.check_oscillation",
        "learning-rate range": "fastnn.lr_range_test",
        "sweep": "fastnn.sweep",
        "diagnosis": "fastnn.diagnose",
    },
}


def resolve(name):
    """Return the object with a dotted name; raise AttributeError if it is gone."""
    found = importlib.import_module("fastnn")
    path = "fastnn"
    for part in name.split(".")[1:]:
        path = f"{path}.{part}"
        if not hasattr(found, part):
            try:
                importlib.import_module(path)
            except ModuleNotFoundError as error:
                raise AttributeError(f"{name} does not exist") from error
        found = getattr(found, part)
    return found


def page():
    """Return the page: a table per section, with the first line of each docstring."""
    lines = ["# What fastnn can do", "", "Written by `python -m tests.catalogue`.", ""]
    for section, rows in ROWS.items():
        lines += [f"## {section}", "", "| what | name | summary |", "|---|---|---|"]
        for what, name in rows.items():
            text = (resolve(name).__doc__ or "").strip().split("\n")[0].replace("|", "\\|")
            text = re.sub(r":\w+:`", "`", text.replace("``", "`"))
            lines.append(f"| {what} | `{name}` | {text} |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
