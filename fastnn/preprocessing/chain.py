"""A chain of transformers, which may include other libraries'."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from fastnn.formulas import Formula
from fastnn.inputs import on_disk
from fastnn.inputs.checks import as_inputs, blocks, positive_int
from fastnn.inputs.precision import rounding
from fastnn.inputs.settings import look_up, setting, table
from fastnn.preprocessing import imputation, projection, scaling  # noqa: F401  # for TABLE
from fastnn.preprocessing.categories import TargetMean
from fastnn.preprocessing.encoding import Encoder
from fastnn.preprocessing.scaling import column_ranges
from fastnn.preprocessing.transformer import Transformer


def _as_steps(given: Any, name: str) -> list[Any]:
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise TypeError(f"{name} is {given!r}, wanted a list of transformers")
    if not given:
        raise ValueError(f"{name} is empty, wanted at least one transformer")
    steps: list[Any] = []
    for place, each in enumerate(given):
        step = _as_step(each, f"{name}[{place}]")
        steps += step.steps if isinstance(step, Chain) else [step]
    return steps


class Chain(Transformer):
    """Apply several transformers in sequence, each to the result of the previous one.

    Parameters
    ----------
    steps : sequence
        Transformers, their names ("center", "standardize", "min_max", "robust_scale", "impute",
        "ordinal", "one_hot", "target_mean", "pca", "whiten"), or any objects with ``fit(X)`` and
        ``transform(X)``, such as scikit-learn's.  These get NumPy arrays, in `transform` a block of
        rows at a time, and must return as many rows of finite numbers.

    Attributes
    ----------
    steps_ : list
        Fitted copies of the steps.  The steps themselves do not change.

    Raises
    ------
    ValueError, TypeError
        If there are no steps, or one is none of the above; see also :meth:`Transformer.fit`.

    Examples
    --------
    >>> x = np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 2.1]])
    >>> from fastnn.preprocessing import PCA
    >>> chain = Chain(["standardize", PCA(1)])
    >>> chain.fit_transform(x).shape, chain.steps_[0].mean_.round(2)
    ((3, 1), array([1.  , 1.03]))
    """

    learned = ("width_",)
    width_: int = setting(init=False)
    steps_: list[Any] = setting(init=False)

    steps: Any = setting(check=_as_steps)

    @property
    def n_features_out_(self) -> int:
        return self.width_

    @property
    def missing(self) -> tuple[bool, bool]:  # type: ignore[override]
        """NaN may come into the first step; a chain's result is finite."""
        first = self.steps[0]
        return isinstance(first, Transformer) and first.missing[0], False

    def rows(
        self, X: ArrayLike, n_features: int | None = None, name: str = "X", *, empty: bool = False
    ) -> Any:
        first = self.steps[0]
        own = first.rows if isinstance(first, Transformer) else super().rows
        return own(X, n_features, name, empty=empty)

    @property
    def supervised(self) -> bool:
        """Whether a step learns from the targets."""
        return any(isinstance(step, TargetMean) for step in self.steps)

    def cross_transform(
        self, X: ArrayLike, y: Any = None, dtype: DTypeLike | None = None
    ) -> np.ndarray:
        """Return training rows as a model should see them; see :meth:`Transformer.cross_transform`.

        These are the rows of `transform` unless a step learned from `y`.
        """
        if not self.supervised:
            return self.transform(X, dtype)
        self._check_fitted("cross_transform")
        self.names_.agreed(X, owner="transformer")
        rows = self.rows(X, self.n_features_in_)
        if isinstance(rows, np.ndarray):
            dtype, rows = dtype or rows.dtype, rows.astype(np.float64)
        for step in self.steps_:
            rows = _of_training(step, rows, y)
        out = rows.astype(dtype or np.float64)
        return as_inputs(out, dtype=out.dtype, name="transformed X")

    def _fit(self, rows: Any, y: Any) -> dict[str, Any]:
        fitted: list[Any] = []
        moved = np.zeros(1)
        for step in self.steps:
            if isinstance(rows, np.ndarray):
                rows, moved = _without_noise(rows, moved)
            if not isinstance(step, Transformer):
                rows = np.ascontiguousarray(rows)  # other libraries' sums depend on the layout
            takes_targets = isinstance(step, Transformer)
            fitted.append(_copy(step).fit(rows, y) if takes_targets else _copy(step).fit(rows))
            if takes_targets and len(fitted) == len(self.steps):  # nobody learns from the result
                return {"steps_": fitted, "width_": fitted[-1].n_features_out_}
            rows = _of_training(fitted[-1], rows, y)
            moved = fitted[-1].carry(moved) if takes_targets else np.zeros(1)
        return {"steps_": fitted, "width_": rows.shape[1]}

    def _numbers(self, rows: Any) -> np.ndarray:
        first = self.steps_[0]
        return first._numbers(rows) if isinstance(first, Encoder) else rows

    def formulas(self, labels: Sequence[Any] | None) -> tuple[list[Formula], Formula]:
        """Return inputs, and what `transform` makes of them; see `Encoder.formula_of_columns`.

        Raises
        ------
        ValueError
            For a step of another library.
        """
        self._check_fitted("export")
        first, *others = self.steps_
        if isinstance(first, Encoder) and type(first) in TABLE.values():
            inputs, x = first.formula_of_columns(labels)
        else:
            x = Formula.numbers("X", self.n_features_in_, np.float64)
            inputs, others = [x], self.steps_
        for step in others:
            if type(step) not in TABLE.values():  # a subclass may compute anything
                raise ValueError(f"preprocessing has a {type(step).__name__}, which has no formula")
            x = step.formula(x)
        return inputs, x

    def _forward(self, block: np.ndarray) -> np.ndarray:
        steps = self.steps_
        if isinstance(steps[0], Encoder):  # `_numbers` did the first half of its work
            block, steps = steps[0]._forward(block), steps[1:]
        for step in steps:
            block = _transformed(step, step.transform, block)
        return block

    def inverse_transform(self, X: ArrayLike, dtype: DTypeLike | None = None) -> np.ndarray:
        """Return the original rows for transformed ones; see :meth:`Transformer.inverse_transform`.

        They are objects if the first step is an encoder.
        """
        if not self.fitted or not isinstance(self.steps_[0], Encoder):
            return super().inverse_transform(X, dtype)
        self._check_fitted("inverse_transform")
        rows = as_inputs(X, None, np.float64, empty=True).astype(np.float64)
        for step in reversed(self.steps_[1:]):
            rows = _transformed(step, step.inverse_transform, rows)
        return self.steps_[0].inverse_transform(rows, dtype)

    def _backward(self, block: np.ndarray) -> np.ndarray:
        for step in reversed(self.steps_):
            if not hasattr(step, "inverse_transform"):
                raise TypeError(f"{type(step).__name__} has no inverse_transform")
            block = _transformed(step, step.inverse_transform, block)
        return block

    def to_config(self) -> dict[str, Any]:
        """Return the class name and the steps' configurations, as JSON can hold them.

        Raises
        ------
        TypeError
            For a step that is not built in: without pickle, which runs any code that a file
            brings, there is no way to store it.
        """
        for step in self.steps:
            if type(step) not in TABLE.values():
                raise TypeError(
                    f"preprocessing has a {type(step).__name__}, which only pickle could store, "
                    "and reading a pickle runs any code: use fastnn.preprocessing in its place, "
                    "or transform X before the network sees it"
                )
        return {"name": "Chain", "steps": [step.to_config() for step in self.steps]}

    def state(self) -> dict[str, np.ndarray]:
        """Return the learned arrays, named ``"step.attribute"``; none before `fit`."""
        arrays = super().state()
        for place, step in enumerate(self.steps_ if self.fitted else ()):
            arrays |= {f"{place}.{name}": array for name, array in step.state().items()}
        return arrays

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Set the learned arrays from :meth:`state`; errors are those of the steps."""
        steps = [_copy(step) for step in self.steps]
        for place, step in enumerate(steps):
            step.restore(below(state, f"{place}."))
        widths = [step.n_features_out_ for step in steps]
        for place, step in enumerate(steps[1:]):
            if step.n_features_in_ != widths[place]:
                raise ValueError(
                    f"{place + 1}.n_features_in_ is {step.n_features_in_}, wanted {widths[place]}"
                )
        names = "n_features_in_", "width_"
        given = {name: positive_int(state[name].tolist(), name) for name in names}
        wanted = {"n_features_in_": steps[0].n_features_in_, "width_": widths[-1]}
        if given != wanted:
            raise ValueError(f"it has {given}, wanted {wanted}")
        vars(self).update(wanted, steps_=steps, fitted_as_=self.snapshot())


def below(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """Return the arrays whose names start with `prefix`, named without it."""
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}


TABLE = table(Transformer)


def as_chain(given: Any) -> Chain | None:
    """Return `Network`'s argument `preprocessing` as an unfitted chain, or None."""
    if given is None:
        return None
    if isinstance(given, Chain):
        return Chain(given.steps)
    listed = isinstance(given, Sequence) and not isinstance(given, str)
    try:
        return Chain(given if listed else [given])
    except (TypeError, ValueError) as error:
        raise type(error)(f"preprocessing: {error}") from None


def _as_step(step, name: str):
    if isinstance(step, type):
        raise TypeError(f"{name} is the class {step.__name__}, wanted an object")
    if not isinstance(step, Transformer) and all(
        callable(getattr(step, method, None)) for method in ("fit", "transform")
    ):
        return step
    return look_up(step, name, Transformer, TABLE)


def _copy(step):
    """Return a copy of a step, unfitted if its library has a way to say so."""
    if hasattr(step, "__sklearn_clone__"):
        return step.__sklearn_clone__()
    return copy.deepcopy(step)


def _without_noise(rows: np.ndarray, moved: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return rows in which what rounding left of constant columns is constant, and the rounding.

    A step hides how large its inputs were: after "center", it looks like a spread.
    """
    low, high = column_ranges(rows)
    moved = np.maximum(moved, rounding(low, high, rows.dtype))
    noise = (low < high) & (high - low <= moved)
    if noise.any():
        rows = _replaced(rows, noise, low.astype(rows.dtype))
    return rows, moved


def _replaced(rows: np.ndarray, columns: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return a copy of the rows with the same value everywhere in each of some columns."""
    out = on_disk.empty(rows.shape, rows.dtype, rows)
    for start, block in blocks(rows):
        out[start : start + len(block)] = np.where(columns, values, block)
    return out


def _of_training(step, rows, y):
    """Return training rows after a step that was fitted to them."""
    if isinstance(step, Transformer):
        return step.cross_transform(rows, y)
    return _transformed(step, step.transform, rows)


def _transformed(step, method, rows: np.ndarray) -> np.ndarray:
    """Apply a step's method to the rows, and check the result if the step is another library's."""
    out = method(rows)
    if isinstance(step, Transformer):
        return out
    name = f"the output of {type(step).__name__}"
    out = as_inputs(out, dtype=np.float64, name=name)
    if len(out) != len(rows):
        raise ValueError(f"{name} has {len(out)} rows, wanted {len(rows)}")
    return out
