"""fastnn: neural networks on CPUs, compiled by Numba.

Importing it loads no more than this file.  A name is loaded when it is first used, with what it
needs: Numba and all kernels for most.
"""

import sys
import warnings
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, Any

from fastnn.engine.garbage import uncollected

if TYPE_CHECKING:
    import fastnn.data
    import fastnn.datasets
    import fastnn.export
    import fastnn.flow
    import fastnn.reference
    import fastnn.tabular  # noqa: F401  (as attributes)
    from fastnn.callbacks import (
        Callback,
        EarlyStopping,
        History,
        ModelCheckpoint,
        ReduceLROnPlateau,
    )
    from fastnn.comparison import compare_kernel
    from fastnn.constraints import MaxNorm, NonNeg, UnitNorm
    from fastnn.diagnosis import (
        WatchUnits,
        check_gradients,
        check_units,
        diagnose,
        lr_range_test,
        overfit_small,
        sweep,
    )
    from fastnn.engine.exchange import RankError
    from fastnn.importing import from_keras, from_onnx, from_torch
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
    from fastnn.many import FitManyError, fit_many, successive_halving
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
    from fastnn.optimizers.minimizing import minimize
    from fastnn.pretraining import initialize_from_data, pretrain
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
    "RankError",
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
    "from_keras",
    "from_onnx",
    "from_torch",
    "initialize_from_data",
    "load",
    "lr_range_test",
    "minimize",
    "overfit_small",
    "pretrain",
    "successive_halving",
    "sweep",
]

_NAMES = {
    "callbacks": ("Callback", "EarlyStopping", "History", "ModelCheckpoint", "ReduceLROnPlateau"),
    "comparison": ("compare_kernel",),
    "constraints": ("MaxNorm", "NonNeg", "UnitNorm"),
    "diagnosis": (
        "WatchUnits", "check_gradients", "check_units", "diagnose", "lr_range_test",
        "overfit_small", "sweep",
    ),
    "engine.exchange": ("RankError",),
    "importing": ("from_keras", "from_onnx", "from_torch"),
    "layers": (
        "Activation", "BatchNormalization", "Dense", "Dropout", "Embedding", "HierarchicalSoftmax",
        "LayerNormalization", "ParametricActivation", "PeriodicEmbedding",
        "PiecewiseLinearEmbedding", "Scale",
    ),
    "many": ("FitManyError", "fit_many", "successive_halving"),
    "network": ("Network", "load"),
    "optimizers": (
        "GD", "LBFGS", "SGD", "Adadelta", "Adagrad", "Adam", "AdamW", "NAdam", "RMSprop", "Rprop",
    ),
    "optimizers.minimizing": ("minimize",),
    "pretraining": ("initialize_from_data", "pretrain"),
    "regularizers": ("L1", "L1L2", "L2", "GroupL1", "Lq"),
    "schedules": (
        "CosLog", "CosineDecay", "ExponentialDecay", "InverseTimeDecay", "OneCycle", "Schedule",
        "WarmUp",
    ),
}  # fmt: skip
_HOMES = {name: module for module, names in _NAMES.items() for name in names}
"""Where each of our names is."""

_MODULES = (
    "activations", "callbacks", "constraints", "data", "datasets", "export", "flow", "initializers",
    "kernels", "layers", "losses", "metrics", "optimizers", "preprocessing", "reference",
    "regularizers", "schedules", "tabular",
)  # fmt: skip
"""The modules for users, which load like our names.  fastnn.sklearn needs more than we do."""

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
"""Where modules are that moved into folders, by their old names."""
_RENAMED_UNTIL = "0.3"


class _Moved(MetaPathFinder, Loader):
    """Finds modules by their old names: the very modules, so every class exists only once."""

    def find_spec(self, fullname: str, *_: object) -> ModuleSpec | None:
        package, _dot, old = fullname.partition(".")
        return ModuleSpec(fullname, self) if package == __name__ and old in _RENAMED else None

    def exec_module(self, module: ModuleType) -> None:
        old = module.__name__
        new = f"{__name__}.{_RENAMED[old.partition('.')[2]]}"
        text = f"{old} is now {new}, and its old name ends with fastnn {_RENAMED_UNTIL}"
        warnings.warn(text, DeprecationWarning, stacklevel=2)
        sys.modules[old] = import_module(new)


sys.meta_path.append(_Moved())

if not TYPE_CHECKING:  # which would take any name for one of ours

    def __getattr__(name: str) -> Any:
        module = f"{__name__}.{_HOMES.get(name, name)}"
        try:
            if name.isidentifier() and not name.startswith("_"):
                with uncollected():
                    found = import_module(module)
                globals()[name] = getattr(found, name) if name in _HOMES else found
                return globals()[name]
        except ModuleNotFoundError as error:
            if error.name != module:  # it is there, and lacks another
                raise
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    special = {name for name in globals() if name.startswith("__")}
    return sorted({*special, *__all__, *_MODULES})
