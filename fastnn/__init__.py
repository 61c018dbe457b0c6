"""fastnn: neural networks on CPUs, compiled by Numba."""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from fastnn.engine.garbage import uncollected

with uncollected():
    from fastnn.callbacks import (
        Callback,
        EarlyStopping,
        History,
        ModelCheckpoint,
        ReduceLROnPlateau,
    )
    from fastnn.constraints import MaxNorm, NonNeg, UnitNorm
    from fastnn.layers import (
        Activation,
        BatchNormalization,
        Dense,
        Dropout,
        Embedding,
        HierarchicalSoftmax,
        LayerNormalization,
        ParametricActivation,
        PeriodicEmbedding,
        PiecewiseLinearEmbedding,
        Scale,
    )
    from fastnn.many import FitManyError, fit_many
    from fastnn.network import Network, load
    from fastnn.optimizers import (
        GD,
        LBFGS,
        SGD,
        Adadelta,
        Adagrad,
        Adam,
        AdamW,
        NAdam,
        RMSprop,
        Rprop,
    )
    from fastnn.regularizers import L1, L1L2, L2, GroupL1, Lq
    from fastnn.schedules import (
        CosineDecay,
        CosLog,
        ExponentialDecay,
        InverseTimeDecay,
        OneCycle,
        Schedule,
        WarmUp,
    )

if TYPE_CHECKING:
    import fastnn.datasets
    import fastnn.export
    import fastnn.flow
    import fastnn.reference  # noqa: F401  (as attributes)
    from fastnn.comparison import compare_kernel
    from fastnn.diagnosis import (
        WatchUnits,
        check_gradients,
        check_units,
        diagnose,
        lr_range_test,
        overfit_small,
        sweep,
    )
    from fastnn.optimizers.minimizing import minimize
    from fastnn.pretraining import initialize_from_data, pretrain

__version__ = "0.1.0"

__all__ = [
    "GD",
    "L1",
    "L1L2",
    "L2",
    "LBFGS",
    "SGD",
    "Activation",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "BatchNormalization",
    "Callback",
    "CosLog",
    "CosineDecay",
    "Dense",
    "Dropout",
    "EarlyStopping",
    "Embedding",
    "ExponentialDecay",
    "FitManyError",
    "GroupL1",
    "HierarchicalSoftmax",
    "History",
    "InverseTimeDecay",
    "LayerNormalization",
    "Lq",
    "MaxNorm",
    "ModelCheckpoint",
    "NAdam",
    "Network",
    "NonNeg",
    "OneCycle",
    "ParametricActivation",
    "PeriodicEmbedding",
    "PiecewiseLinearEmbedding",
    "RMSprop",
    "ReduceLROnPlateau",
    "Rprop",
    "Scale",
    "Schedule",
    "UnitNorm",
    "WarmUp",
    "WatchUnits",
    "check_gradients",
    "check_units",
    "compare_kernel",
    "diagnose",
    "fit_many",
    "initialize_from_data",
    "load",
    "lr_range_test",
    "minimize",
    "overfit_small",
    "pretrain",
    "sweep",
]

# Names that training does not need; they are imported on first use.
_LATER = {
    "comparison": ("compare_kernel",),
    "diagnosis": (
        "WatchUnits", "check_gradients", "check_units", "diagnose", "lr_range_test",
        "overfit_small", "sweep",
    ),
    "datasets": (),
    "export": (),
    "flow": (),
    "optimizers.minimizing": ("minimize",),
    "pretraining": ("initialize_from_data", "pretrain"),
    "reference": (),
}  # fmt: skip


# The old names of modules that moved into folders.  Importing them still works and returns the same
# module, so every class exists only once.
_MOVED = {
    "callbacks": ("monitors",),
    "files": ("modelfile", "storage"),
    "inputs": ("arrays", "checks", "custom"),
    "layers": ("class_trees", "dropout", "hierarchical", "normalization", "penalties"),
    "training": (
        "compacting", "evaluation", "fitting", "lowering", "prediction", "summary",
    ),
}  # fmt: skip
_RENAMED = {"families": "inputs.settings", "parts": "layers.base"}
_RENAMED |= {name: f"{folder}.{name}" for folder, names in _MOVED.items() for name in names}
for _old, _new in _RENAMED.items():
    sys.modules[f"{__name__}.{_old}"] = import_module(f"{__name__}.{_new}")


if not TYPE_CHECKING:  # which would take any name for one of ours

    def __getattr__(name: str) -> Any:
        if name in _RENAMED:
            return sys.modules[f"{__name__}.{name}"]
        for module, names in _LATER.items():
            if name == module or name in names:
                found = import_module(f"{__name__}.{module}")
                return found if name == module else getattr(found, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
