"""A table, and a folder of Parquet files that hold it, for tests of rows that are not in memory."""

import numpy as np
import polars as pl

import fastnn

N = 600


def table(n=N, seed=0):
    rng = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "a": rng.normal(size=n),
            "b": rng.integers(0, 9, n),
            "flag": rng.random(n) < 0.5,
            "c": rng.normal(size=n).astype("f4"),
            "y": rng.normal(size=n),
            "w": rng.random(n),
            "kind": rng.integers(0, 3, n),
        }
    )


TABLE = table()
INPUTS = ["a", "b", "flag", "c"]


def folder_of(path, frame=TABLE, parts=3, **how):
    """Write a folder of Parquet files, with what Spark and others leave beside them."""
    path.mkdir()
    size = -(-len(frame) // parts)
    for number in range(parts):
        how = {"row_group_size": 70, **how}
        frame[number * size : (number + 1) * size].write_parquet(
            path / f"part-{number}.parquet", **how
        )
    (path / "_SUCCESS").touch()
    (path / ".part-0.parquet.crc").touch()
    (path / "README.txt").touch()
    return path


def network(**settings):
    settings = {"preprocessing": "standardize", "optimizer": "adam", **settings}
    return fastnn.Network([fastnn.Dense(8, "relu"), fastnn.Dense(1)], **settings)
