"""A random network with its data and how it is trained, as code; and how to draw one."""

import functools
import importlib.util
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from hypothesis import strategies as st

import fastnn
from fastnn import activations, losses, preprocessing
from tests.fuzz import forms

_NAMES = {name: getattr(fastnn, name) for name in fastnn.__all__} | {
    "activations": activations,
    "losses": losses,
    "preprocessing": preprocessing,
}


@dataclass(frozen=True)
class Case:
    """One network, its data, and one fit; `repr` is code that makes it."""

    layers: str
    loss: str = "'mse'"
    optimizer: str = "'sgd'"
    options: str = ""
    """What else :class:`fastnn.Network` is given."""
    outputs: int = 1
    rows: int = 3
    columns: int = 1
    kind: str = "normal"
    """What the columns hold; see :data:`KINDS`."""
    scale: float = 1.0
    x_type: str = "float32"
    x_form: str = "plain"
    y_type: str = "float64"
    """The type of targets that are numbers; labels are int64."""
    y_form: str = "plain"
    y_scale: float = 1.0
    weights: str = ""
    """The rows' weights; see :data:`WEIGHTS`."""
    fit: dict[str, Any] = field(default_factory=dict)
    dtype: str = "float32"
    guarded: bool = False
    """Whether fastnn's own buffers lie at guard pages too."""
    errstate: str = "warn"
    """What the caller has asked of NumPy's floating-point errors."""
    seed: int = 0

    def __repr__(self) -> str:
        given = ", ".join(
            f"{each.name}={getattr(self, each.name)!r}"
            for each in fields(self)
            if each.default != getattr(self, each.name) and getattr(self, each.name) != {}
        )
        return f"Case({given})"

    def network(self, **options: Any) -> fastnn.Network:
        """Return the network, not built yet."""
        text = f"dict(layers={self.layers}, loss={self.loss}, optimizer={self.optimizer}, "
        given = eval(f"{text}{self.options})", dict(_NAMES))
        return fastnn.Network(**{"dtype": self.dtype, "seed": self.seed, **given, **options})

    @functools.cached_property
    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """The inputs, targets and weights, as plain arrays."""
        rng = np.random.default_rng(self.seed)
        shape = self.rows, self.columns
        x = forms.cast(KINDS[self.kind](rng, shape) * self.scale, self.x_type)
        loss = losses.get(eval(self.loss, dict(_NAMES)))
        targets = loss.n_targets(self.outputs)
        y: np.ndarray = {
            "class": lambda: rng.integers(0, self.outputs, self.rows),
            "real": lambda: forms.cast(
                rng.standard_normal((self.rows, targets)) * self.y_scale, self.y_type
            ),
            "count": lambda: rng.integers(0, 5, (self.rows, targets)),
            "positive": lambda: rng.gamma(2, 1, (self.rows, targets)),
            "binary": lambda: rng.integers(0, 2, (self.rows, targets)),
            "sign": lambda: rng.choice([-1, 1], (self.rows, targets)),
        }[loss.target]()
        weight = WEIGHTS[self.weights](rng, self.rows) if self.weights else None
        return x, y, weight

    def data(self) -> tuple[Any, Any, Any]:
        """Return inputs, targets and weights in the form in which the caller has them."""
        x, y, weight = self.arrays
        return forms.LAYOUTS[self.x_form](x), forms.LAYOUTS[self.y_form](y), weight


def _sometimes(share, rng, shape):
    return rng.random(shape) < share


def _nearly_constant(rng, shape):
    return np.where(_sometimes(0.5, rng, shape), 0.3, 0.1 + 0.2)


KINDS = {
    "normal": lambda rng, shape: rng.standard_normal(shape),
    "integers": lambda rng, shape: rng.integers(-3, 4, shape).astype(np.float64),
    "zeros": lambda rng, shape: np.zeros(shape),
    "constant columns": lambda rng, shape: np.broadcast_to(rng.standard_normal(shape[1]), shape),
    "nearly constant": _nearly_constant,
    "one column constant": lambda rng, shape: np.where(
        np.arange(shape[1]) == 0, 0.7, rng.standard_normal(shape)
    ),
    "offset": lambda rng, shape: 1000 + rng.standard_normal(shape),
    "sparse": lambda rng, shape: rng.standard_normal(shape) * _sometimes(0.1, rng, shape),
    "columns of all scales": lambda rng, shape: (
        rng.standard_normal(shape) * 10.0 ** rng.integers(-8, 8, shape[1])
    ),
    "subnormal": lambda rng, shape: rng.standard_normal(shape) * 1e-40,
    "one huge": lambda rng, shape: np.where(
        np.arange(shape[0])[:, None] == 0, 1e6, rng.standard_normal(shape)
    ),
}
"""What columns may hold."""

WEIGHTS = {
    "ones": lambda rng, n: np.ones(n),
    "random": lambda rng, n: rng.random(n) + 0.01,
    "some zero": lambda rng, n: np.where(np.arange(n) % 3 == 1, 0.0, 1.0 + np.arange(n)),
    "one": lambda rng, n: (np.arange(n) == 0).astype(float),
    "tiny": lambda rng, n: 1e-50 * (1 + rng.random(n)),
    "least": lambda rng, n: np.full(n, 5e-324),
    "huge": lambda rng, n: 1e300 * (1 + rng.random(n)),
    "of all scales": lambda rng, n: 10.0 ** rng.integers(-6, 6, n),
    "float32": lambda rng, n: rng.random(n).astype(np.float32) + np.float32(0.01),
    "integers": lambda rng, n: rng.integers(1, 5, n),
}
"""What weights of rows may be."""

_activation = st.sampled_from(
    [
        "None", "'relu'", "'tanh'", "'sigmoid'", "'leaky_relu'", "'elu'", "'gelu'", "'softplus'",
        "'silu'", "'selu'", "'mish'", "'softmax'", "'exponential'", "activations.LeakyReLU(0.01)",
        "activations.ELU(0.5)", "activations.GELU(approximate=True)",
    ]
)  # fmt: skip
_units = st.sampled_from([1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 32, 33, 64, 65, 100])
_penalty = st.sampled_from(
    [
        "L2(0.01)", "L1(0.01)", "L1(0.01, 'shrink')", "L1(0.01, 'proximal')", "L1L2(0.01, 0.02)",
        "L1L2(0.1, 0.1, 'shrink')", "L1L2(0.1, 0.1, 'proximal')", "Lq(0.1, 1.3)", "Lq(0.1, 3)",
        "L2(0)", "GroupL1(0.01)", "GroupL1(0.05, 'input')",
    ]
)  # fmt: skip
_bias_penalty = _penalty.filter(lambda text: "Group" not in text)
_constraint = st.sampled_from(
    ["MaxNorm(0.8)", "MaxNorm(0.8, True)", "'unit_norm'", "'non_neg'", "MaxNorm(3)"]
)
_initializer = st.sampled_from(
    [
        "'zeros'", "'constant'", "'normal'", "'uniform'", "'lecun_normal'", "'lecun_uniform'",
        "'glorot_normal'", "'he_uniform'", "'orthogonal'", "'sparse'", "'variance_scaling'",
    ]
)  # fmt: skip
_rate = st.sampled_from(
    [
        "0.01", "0.1", "0.001", "InverseTimeDecay(0.05, 3, 0.5)", "CosineDecay(0.05, 5, 0.1)",
        "ExponentialDecay(0.05, 2, 0.5)", "ExponentialDecay(0.05, 2, 0.5, staircase=True)",
        "CosineDecay(0.05, 3, hold_steps=2)", "CosLog(0.05, 9, 2)", "OneCycle(0.05, 8)",
        "WarmUp(0.05, 3)", "WarmUp(CosineDecay(0.05, 9), 2, 0.01)",
    ]
)  # fmt: skip
_clip = st.sampled_from(["", "", "", ", clipvalue=0.02", ", global_clipnorm=0.1"])

_SCALES = 1e-3, 10.0, 1e3, 1e-30, 1e10, 1e30


def _rarely(strategy, usual):
    return st.one_of(st.just(usual), st.just(usual), strategy)


@st.composite
def _dense(draw, units, activation):
    settings = [str(units), draw(activation)]
    for name, strategy in {
        "kernel_initializer": _initializer,
        "kernel_regularizer": _penalty,
        "bias_regularizer": _bias_penalty,
        "kernel_constraint": _constraint,
        "bias_constraint": st.just("'non_neg'"),
        "use_bias": st.just("False"),
        "drop_connect": st.just("0.3"),
    }.items():
        if draw(st.integers(0, 7)) == 7:
            settings.append(f"{name}={draw(strategy)}")
    return f"Dense({', '.join(settings)})"


_between = st.sampled_from(
    [
        "BatchNormalization()", "BatchNormalization(momentum=0.5)", "LayerNormalization()",
        "BatchNormalization(center=False)", "BatchNormalization(scale=False, epsilon=0.1)",
        "LayerNormalization(center=False, scale=False)", "LayerNormalization(scale=False)",
        "Dropout(0.2)", "Dropout(0.5, 'test')", "Dropout(0)", "Dropout(CosineDecay(0.5, 4))",
        "Activation('relu')", "Activation('softplus')", "Activation('softmax')",
        "Activation('tanh')",
        "Scale()", "ParametricActivation('mish')", "ParametricActivation('relu', 0.75)",
    ]
)  # fmt: skip


@st.composite
def _optimizer(draw):
    clip, rate = draw(_clip), draw(_rate)
    whole = ["Rprop()", "Rprop(0.1)", f"GD({rate}{clip})"]
    if importlib.util.find_spec("scipy"):
        whole += ["LBFGS(3)"]
    return draw(
        st.sampled_from(
            [
                f"SGD({rate}{clip})", f"SGD({rate}, 0.9{clip})", f"SGD({rate}, 0.5, True{clip})",
                f"Adam({rate}{clip})", f"Adam({rate}, amsgrad=True{clip})",
                f"AdamW({rate}, 0.1{clip})", f"AdamW({rate}, decay_biases=True{clip})",
                f"AdamW({rate}, CosineDecay(0.1, 4){clip})",
                f"NAdam({rate}{clip})", f"Adagrad({rate}{clip})", f"Adadelta({rate}{clip})",
                f"RMSprop({rate}{clip})", f"RMSprop({rate}, momentum=0.5, centered=True{clip})",
                *whole,
            ]
        )
    )  # fmt: skip


_LOSSES = {
    # By name: how many outputs there may be, and the activations that the last layer may have.
    "'mse'": ((1, 2, 3), None),
    "'mae'": ((1, 2), None),
    "'half_mse'": ((1, 2), None),
    "losses.Huber(0.3)": ((1, 2), None),
    "losses.SmoothL1(0.3)": ((1, 2), None),
    "'log_cosh'": ((1, 2), None),
    "'quantile'": ((1, 2), None),
    "losses.Quantile([0.1, 0.5, 0.9])": ((3, 6), None),
    "'signed_error'": ((1, 2), None),
    "'poisson'": ((1, 2), ("None", "'exponential'")),
    "'gamma'": ((1, 2), ("None", "'exponential'")),
    "'gaussian_nll'": ((2, 4), None),
    "'logistic'": ((1, 3), ("None", "'sigmoid'")),
    "'attribute_hinge'": ((1, 3), None),
    "'softmax_cross_entropy'": ((2, 3, 10), ("None", "'softmax'")),
    "losses.SoftmaxCrossEntropy(0.1)": ((2, 4), ("None", "'softmax'")),
    "'multiclass_hinge'": ((2, 3), None),
    "'multiclass_squared_hinge'": ((2, 3), None),
    "'structured_hinge'": ((2, 3), None),
    "'probability_cross_entropy'": ((2, 4), ("'softmax'",)),
    "losses.MSE(reduction='sum')": ((1, 2), None),
    "losses.StructuredHinge([[0, 1, 2], [1, 0, 1], [4, 1, 0]])": ((3,), None),
}


@st.composite
def _layers(draw, loss):
    """Return the layers' code and the number of outputs."""
    counts, last = _LOSSES[loss]
    outputs = draw(st.sampled_from(counts))
    found = [draw(_between)] if draw(st.integers(0, 5)) == 5 else []
    for _ in range(draw(st.sampled_from([0, 1, 1, 2, 3]))):
        found.append(draw(_dense(draw(_units), _activation)))
        if draw(st.integers(0, 2)) == 2:
            found.append(draw(_between))
    if loss == "'softmax_cross_entropy'" and draw(st.integers(0, 2)) == 2:
        tree = draw(st.sampled_from(["", ", 'huffman', list(range(1, {0} + 1))"])).format(outputs)
        found.append(f"HierarchicalSoftmax({outputs}{tree})")
    else:
        activation = st.sampled_from(last) if last else _rarely(_activation, "None")
        found.append(draw(_dense(outputs, activation)))
        if not last and draw(st.integers(0, 5)) == 5:
            found.append(draw(_between.filter(lambda text: "Dropout" not in text)))
    return f"[{', '.join(found)}]", outputs


@st.composite
def _options(draw, loss):
    found = ""
    if draw(st.integers(0, 4)) == 4:
        steps = [
            "'standardize'", "'min_max'", "'center'", "['center', preprocessing.PCA(1)]",
            "['standardize', preprocessing.Whiten(eps=0.1)]",
        ]  # fmt: skip
        found += f"preprocessing={draw(st.sampled_from(steps))}, "
    if draw(st.integers(0, 5)) == 5:
        found += f"kernel_regularizer={draw(_penalty)}, "
    if draw(st.integers(0, 7)) == 7:
        found += f"bias_regularizer={draw(_bias_penalty)}, "
    if draw(st.integers(0, 7)) == 7 and loss in ("'mse'", "'mae'", "'log_cosh'"):
        found += "metrics=['mae', 'rmse', 'r2'], "
    return found


@st.composite
def _fits(draw, loss, outputs, rows):
    found: dict[str, Any] = {"epochs": draw(st.sampled_from([1, 2, 2, 3]))}
    size = draw(st.sampled_from([None, None, 1, 2, 3, 7, 10, 16, 20, 1000]))
    if size is not None and rows / size <= 12:  # few updates, so that rounding cannot grow
        found["batch_size"] = size
    if draw(st.booleans()):
        found["shuffle"] = False
    if draw(st.integers(0, 3)) == 3:
        found["drop_last"] = True
    if draw(st.integers(0, 5)) == 5 and rows >= 5:
        found["validation_split"] = 0.3
        if draw(st.booleans()):
            found["validation_shuffle"] = False
    classes = loss in ("'softmax_cross_entropy'", "'multiclass_hinge'", "'structured_hinge'")
    if classes and draw(st.integers(0, 2)) == 2:
        weight = draw(st.sampled_from([49.0, 0.0, 1e-30, 1e30]))
        found["class_weight"] = {outputs - 1: weight}
    return found


@st.composite
def cases(draw) -> Case:
    """Draw a case."""
    loss = draw(st.sampled_from(list(_LOSSES)))
    layers, outputs = draw(_layers(loss))
    rows = draw(st.sampled_from([3, 1, 2, 5, 7, 10, 16, 17, 31, 33, 40, 64, 67]))
    return Case(
        layers=layers,
        loss=loss,
        optimizer=draw(_optimizer()),
        options=draw(_options(loss)),
        outputs=outputs,
        rows=rows,
        columns=draw(st.sampled_from([1, 2, 3, 5, 7, 8, 16, 17, 33, 70])),
        kind=draw(_rarely(st.sampled_from(list(KINDS)), "normal")),
        scale=draw(_rarely(st.sampled_from(_SCALES), 1.0)),
        x_type=draw(_rarely(st.sampled_from(forms.TYPES), "float32")),
        x_form=draw(_rarely(st.sampled_from(list(forms.LAYOUTS)), "guarded, last")),
        y_type=draw(_rarely(st.sampled_from(forms.TYPES), "float64")),
        y_scale=draw(_rarely(st.sampled_from(_SCALES), 1.0)),
        y_form=draw(_rarely(st.sampled_from(list(forms.LAYOUTS)), "guarded, last")),
        weights=draw(_rarely(st.sampled_from(list(WEIGHTS)), "")),
        fit=draw(_fits(loss, outputs, rows)),
        dtype=draw(st.sampled_from(["float32", "float64"])),
        guarded=draw(st.booleans()),
        errstate=draw(st.sampled_from(["warn", "raise"])),
        seed=draw(st.integers(0, 2**20)),
    )
