"""Networks to export, and what runs their files."""

import ctypes
import subprocess

import numpy as np

import fastnn
from fastnn import (
    Activation,
    BatchNormalization,
    Dense,
    Dropout,
    Embedding,
    HierarchicalSoftmax,
    LayerNormalization,
    Network,
    ParametricActivation,
    PeriodicEmbedding,
    PiecewiseLinearEmbedding,
    Scale,
    activations,
    losses,
)

DTYPES = "float32", "float64"
TOLERANCE = {"float32": 1e-6, "float64": 1e-13}
"""Of the largest output."""
INPUTS = 5
ACTIVATIONS = {
    "gelu, tanh": activations.GELU(True),
    "elu, 0.5": activations.ELU(0.5),
    **{name: activations.get(name) for name in activations.TABLE},
}
_EDGES = [[-1.0, 0.0, 2.0], [0.5]]
LAYERS = {
    "dense": lambda f: [Dense(4, f)],
    "no bias": lambda f: [Dense(4, f, use_bias=False, drop_connect=0.1)],
    "activation": lambda f: [Dense(4), Activation(f)],
    "batch normalization": lambda f: [Dense(4), BatchNormalization(), Activation(f)],
    "normalization first": lambda f: [BatchNormalization(center=False), Dense(4, f)],
    "normalization after": lambda f: [Dense(4, f), BatchNormalization(scale=False)],
    "layer normalization": lambda f: [Dense(4, f), LayerNormalization()],
    "plain layer normalization": lambda f: [
        LayerNormalization(center=False, scale=False), Dense(4, f)
    ],
    "scale": lambda f: [Scale(), Dense(4, f), Scale()],
    "dropout": lambda f: [Dropout(0.2), Dense(4, f), Dropout(0.2, scaling="test")],
    "parametric": lambda f: [Dense(4), ParametricActivation(f if f.elementwise else "relu")],
    "embedding": lambda f: [Embedding([3, 2], 2, columns=[0, 3]), Dense(4, f)],
    "periodic": lambda f: [PeriodicEmbedding(3, 2, columns=[1, 4]), Dense(4, f)],
    "piecewise": lambda f: [PiecewiseLinearEmbedding(_EDGES, 2, columns=[1, 2]), Dense(4, f)],
}  # fmt: skip
"""The layers before the last, with an activation."""
TREES = "balanced", (((0, 1), 2), (3, 4))
LOSSES = {name: losses.get(name) for name in losses.TABLE}


def network(layers, last="linear", loss="mse", dtype="float32", **options):
    """Return a network with weights of all kinds; it computes in NumPy, so nothing compiles."""
    outputs = 4 if losses.get(loss).outputs > 1 or losses.get(loss).target == "class" else 3
    tail = [] if isinstance(layers[-1], HierarchicalSoftmax) else [Dense(outputs, last)]
    made = Network([*layers, *tail], loss=loss, dtype=dtype, backend="numpy", **options)
    made.build(INPUTS)
    rng = np.random.default_rng(0)
    made.set_weights([each + rng.uniform(0.1, 0.5, each.shape) for each in made.get_weights()])
    return made


def moderate(made, rng):
    """Give a network random weights with which no exponential of one makes rounding visible."""
    drawn = [rng.normal(size=each.shape) for each in made.get_weights()]
    weights = [each / np.sqrt(max(each.shape)) for each in drawn]
    names = [each.name for each in made.model.all_parameters()]
    pairs = zip(names, weights, strict=True)
    made.set_weights([abs(w) + 0.1 if name == "moving_variance" else w for name, w in pairs])
    return made


def rows(dtype, count=9):
    """Return inputs, of which the columns 0 and 3 hold codes, some of them unknown."""
    x = np.random.default_rng(1).normal(size=(count, INPUTS))
    x[:, [0, 3]] = np.random.default_rng(2).integers(-1, 4, (count, 2))
    x[0, 0] = 0.5
    return x.astype(dtype)


def networks():
    """Yield networks by name: all layers and all activations, but not all pairs."""
    for dtype in DTYPES:
        for name in ACTIVATIONS:
            yield f"{name}, {dtype}", network([Dense(4, ACTIVATIONS[name])], dtype=dtype)
        for name, make in LAYERS.items():
            yield f"{name}, {dtype}", network(make(ACTIVATIONS["tanh"]), dtype=dtype)
        for tree in TREES:
            layers = [Dense(4, "relu"), HierarchicalSoftmax(5, tree)]
            named = f"tree of {tree}, {dtype}"
            yield named, network(layers, loss="softmax_cross_entropy", dtype=dtype)


def worst(found, wanted):
    """Return the largest difference, in units of the largest number."""
    assert found.shape == wanted.shape
    return float(np.abs(found - wanted).max() / np.abs(wanted).max())


def close(found, wanted, dtype):
    return found.dtype == dtype and worst(found, wanted) <= TOLERANCE[dtype]


def of_onnx(path, feed):
    """Return the outputs of an ONNX file by name."""
    import onnxruntime

    onnxruntime.set_default_logger_severity(3)
    session = onnxruntime.InferenceSession(path)
    names = [each.name for each in session.get_outputs()]
    return dict(zip(names, session.run(None, feed), strict=True))


def of_python(path, X, function="predict"):
    names = {}
    exec(compile(path.read_text(encoding="utf-8"), path, "exec"), names)
    return names[function](X)


def library(folder, *sources):
    """Return a library compiled from C."""
    flags = ["-O2", "-Wall", "-Wextra", "-Werror", "-std=c99", "-shared", "-fPIC"]
    path = folder / "library.so"
    subprocess.run(["gcc", *flags, "-o", path, *sources, "-lm"], check=True)
    return ctypes.CDLL(str(path))


def of_c(function, x, width, dtype, texts=None):
    """Return what a function makes of rows of numbers, and of texts; and the classes it returns."""
    out, classes = np.full((len(x), width), np.nan, dtype), []
    for row, place in zip(np.ascontiguousarray(x), out, strict=True):
        given = [ctypes.c_void_p(row.ctypes.data)]
        if texts is not None:
            own = [None if text is None else text.encode() for text in texts[len(classes)]]
            given.append((ctypes.c_char_p * len(own))(*own))
        classes.append(function(*given, ctypes.c_void_p(place.ctypes.data)))
    return out, np.array(classes)


def exported(model, folder, *targets, **options):
    """Return the files of a model by target, after writing them."""
    ending = {"onnx": "onnx", "c": "c", "python": "py"}
    paths = {target: folder / f"model.{ending[target]}" for target in targets}
    for target, path in paths.items():
        getattr(fastnn.export, target)(model, path, **options)
    return paths
