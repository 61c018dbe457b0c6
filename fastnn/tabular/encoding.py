"""A table's columns as the numbers that networks read."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from fastnn.formulas import Formula
from fastnn.inputs.columns import Names
from fastnn.inputs.settings import look_up
from fastnn.preprocessing import Impute, OneHot, RobustScale
from fastnn.preprocessing.chain import TABLE, Chain, below
from fastnn.preprocessing.transformer import Transformer

_FEW = 2
"""A column with more values than this is a number rather than a switch."""
_PLACES = np.linspace(0, 1, 241)


class Encoding:
    """Encode frames as float32 rows: scaled numbers, a column for each category, and codes.

    Attributes
    ----------
    codes : dict
        Which columns hold codes, and of how many categories.
    numbers : list of int
        Which columns hold numbers that differ, without codes and switches.
    width : int
    names : Names
        What the columns of X are called.
    """

    def __init__(self, categorical_features: Any, max_categories: int):
        self.one_hot = OneHot(max_categories, categorical_features=categorical_features)
        self.names = Names()

    def fit_transform(self, X: Any) -> np.ndarray:
        """Learn the columns of training rows, and return them encoded."""
        self.names = Names().agreed(X, owner="model")
        self.one_hot.fit(X)
        self.codes = self.one_hot.codes_
        if not self.one_hot.n_features_out_:
            raise ValueError("X has no values, wanted some in at least one column")
        # Indicators of missing values come last, so columns keep their places.
        self.rest = Chain([RobustScale(leave=[*self.codes]), Impute(0.0)])
        rows = self.rest.fit_transform(self.one_hot.transform(X))
        self.width = rows.shape[1]
        switches = self.one_hot.n_features_out_
        self.numbers = [
            column
            for column in range(switches)
            if column not in self.codes and len(np.unique(rows[:, column])) > _FEW
        ]
        found = rows.astype(np.float32)
        self._quantiles = np.quantile(found[:, self.numbers], _PLACES, axis=0)
        return found

    def edges(self, bins: int) -> list[list[float]]:
        """Return the edges of bins with about as many training rows each, for each number."""
        index = np.linspace(0, len(_PLACES) - 1, bins + 1).round().astype(int)
        return [np.unique(column).tolist() for column in self._quantiles[index].T]

    def transform(self, X: Any) -> np.ndarray:
        """Return other rows encoded."""
        self.names.agreed(X, owner="model")
        return self.rest.transform(self.one_hot.transform(X)).astype(np.float32)

    def formulas(self) -> tuple[list[Formula], Formula]:
        """Return inputs, and what `transform` makes of them."""
        inputs, x = self.one_hot.formula_of_columns(self.names.x)
        for step in self.rest.steps_:
            x = step.formula(x)
        return inputs, x.cast(np.float32)

    def blocks(self) -> list[np.ndarray]:
        """Return for each column of X which columns encode it."""
        widths = self.one_hot.widths_
        owners = np.repeat(np.arange(len(widths)), widths)
        impute = self.rest.steps_[-1]
        missing = owners[impute.flagged_.nonzero()[0]] if impute.indicators else owners[:0]
        every = np.append(owners, missing)
        return [(every == place).nonzero()[0] for place in range(len(widths))]

    def to_config(self) -> dict[str, Any]:
        """Return the transformers' settings, as JSON can hold them."""
        return {"one_hot": self.one_hot.to_config(), "rest": self.rest.to_config()["steps"]}

    def state(self) -> dict[str, np.ndarray]:
        """Return the learned arrays by name."""
        parts = {"one_hot": self.one_hot, "rest": self.rest}
        return {
            f"{name}.{key}": array
            for name, part in parts.items()
            for key, array in part.state().items()
        }

    @classmethod
    def of(cls, config: Mapping[str, Any], state: Mapping[str, np.ndarray]) -> Self:
        """Return an encoding that can transform, without names; a file may say anything."""
        one_hot = look_up(config["one_hot"], "one_hot", Transformer, TABLE)
        if not isinstance(one_hot, OneHot):
            raise TypeError(f"one_hot is a {type(one_hot).__name__}")
        made = cls(None, 1)
        made.one_hot, made.rest = one_hot, Chain(config["rest"])
        if [*map(type, made.rest.steps)] != [RobustScale, Impute]:
            raise TypeError(f"rest is {made.rest.steps!r:.200}")
        one_hot.restore(below(state, "one_hot."))
        made.rest.restore(below(state, "rest."))
        if made.rest.n_features_in_ != one_hot.n_features_out_:
            raise ValueError(
                f"rest.n_features_in_ is {made.rest.n_features_in_}, wanted "
                f"{one_hot.n_features_out_}"
            )
        made.codes, made.width = one_hot.codes_, made.rest.n_features_out_
        return made
