"""The estimators of fastnn.sklearn beside scikit-learn's own: whole fits with default settings."""

import time
import warnings

import numpy as np

SEEDS = 5


def sets():
    """Yield (name, X, y, whether y has labels): scikit-learn's data sets and three made ones."""
    from sklearn import datasets
    from sklearn.preprocessing import scale

    for name in ("iris", "wine", "breast_cancer", "digits", "diabetes", "linnerud"):
        X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
        labels = y.ndim == 1 and y.dtype.kind == "i"
        yield name, scale(X), y if labels else scale(y), labels
    yield "moons, 1,000 rows", *datasets.make_moons(1000, noise=0.25, random_state=0), True
    X, y = datasets.make_friedman1(2000, noise=1.0, random_state=0)
    yield "friedman1, 2,000 rows", scale(X), scale(y), False
    X, y = datasets.make_classification(5000, 20, n_informative=10, random_state=0)
    yield "classification, 5,000 rows", scale(X), y, True


SETTINGS = {
    "default": {},
    "early stopping": {"early_stopping": True},
    "lbfgs": {"solver": "lbfgs"},
}


def main(threads: int, rounds: int) -> list[dict]:
    """Return an entry for each data set and setting, with medians over seeds, in seconds."""
    from sklearn import neural_network
    from sklearn.model_selection import train_test_split

    from fastnn import sklearn as ours

    warnings.simplefilter("ignore")
    rows = []
    for name, X, y, labels in sets():
        kind = "MLPClassifier" if labels else "MLPRegressor"
        makers = {"fastnn": getattr(ours, kind), "sklearn": getattr(neural_network, kind)}
        for setting, given in SETTINGS.items():
            found = {maker: [] for maker in makers}
            makers["fastnn"](random_state=0, **given).fit(X, y)  # compiles
            for seed in range(rounds):
                parts = train_test_split(X, y, random_state=seed, stratify=y if labels else None)
                for maker in sorted(makers, reverse=bool(seed % 2)):
                    model = makers[maker](random_state=seed, **given)
                    started = time.perf_counter()
                    model.fit(parts[0], parts[2])
                    seconds = time.perf_counter() - started
                    score = model.score(parts[1], parts[3])
                    found[maker].append((seconds, model.n_iter_, score))
            row = {"set": name, "setting": setting, "threads": threads}
            for maker, runs in found.items():
                medians = np.median(runs, axis=0).tolist()
                row[maker] = dict(zip(("seconds", "iterations", "score"), medians, strict=True))
            rows.append(row)
    return rows
