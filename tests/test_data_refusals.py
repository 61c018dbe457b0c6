"""What is no rows to train on is refused by name, and nothing is left of it."""

import datetime
import decimal
import os
import sys

import numpy as np
import pytest

from fastnn.data import cache, sources, to_memmap

pa = pytest.importorskip("pyarrow")
pl = pytest.importorskip("polars")

from tests.big import INPUTS, TABLE, folder_of, network  # noqa: E402


def frames(*given):
    return lambda: [pl.DataFrame(each) for each in given]


XY = {"a": [1.0, 2.0], "y": [0.0, 1.0]}
REFUSED = {
    "text": (
        frames(XY | {"town": ["Bonn", "Ulm"]}),
        TypeError,
        r"X\['town'\] has 'Bonn' .*columns=",
    ),
    "date": (frames(XY | {"day": [datetime.date(2026, 1, 1)] * 2}), TypeError, "day"),
    "list": (frames(XY | {"many": [[1, 2], [3, 4]]}), TypeError, r"X\['many'\] has"),
    "struct": (frames(XY | {"both": [{"p": 1}, {"p": 2}]}), TypeError, r"X\['both'\]"),
    "text target": (frames({"a": [1.0], "y": ["yes"]}), TypeError, "y.* has 'yes' .*labels"),
    "missing target": (
        frames(XY, {"a": [1.0], "y": [None]}),
        ValueError,
        "y has nan at row 0, .*batch 1",
    ),
    "nan target": (
        frames(XY, {"a": [1.0], "y": [np.nan]}),
        ValueError,
        "y has nan at row 0.*batch 1",
    ),
    "other columns": (
        frames(XY, {"b": [1.0], "y": [1.0]}),
        ValueError,
        "no column 'a'; it has 'b', 'y'",
    ),
    "no target": (frames({"a": [1.0]}), ValueError, "no column 'y'"),
    "only target": (frames({"y": [1.0]}), ValueError, "no columns beside 'y'"),
    "no rows": (frames({"a": [], "y": []}), ValueError, "no rows"),
    "no batches": (list, ValueError, "no rows"),
    "kinds": (lambda: [pl.DataFrame(XY), (np.ones((1, 1)), [1])], TypeError, "one kind"),
    "numbers": (lambda: [1, 2], TypeError, "batch 0 is a int, wanted a frame"),
    "twice": (lambda: [pa.table([[1.0], [2.0]], ["a", "a"])], ValueError, "two columns 'a'"),
    "widths": (
        lambda: [(np.ones((1, 2)), [1]), (np.ones((1, 3)), [1])],
        ValueError,
        "X has 3 columns, and 2 before .*batch 1",
    ),
    "lengths": (lambda: [(np.ones((1, 2)), [1, 2])], ValueError, "wanted 1 rows, as X has"),
    "weights": (
        lambda: [(np.ones((1, 2)), [1], [1]), (np.ones((1, 2)), [1])],
        ValueError,
        "batch 1 has X, y, wanted X, y, sample_weight",
    ),
    "no source": (np.ones((2, 2)), TypeError, "source is ndarray, wanted a path"),
    "nowhere": ("nowhere.parquet", FileNotFoundError, "nowhere.parquet"),
    "no match": ("no*where.parquet", FileNotFoundError, "fits no file"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_rows_is_refused_and_nothing_is_left(what, tmp_path):
    source, kind, message = REFUSED[what]
    arrays = what in ("widths", "lengths", "weights")
    with pytest.raises(kind, match=message):
        to_memmap(source, tmp_path / "rows", target=None if arrays else "y")
    left = os.listdir(tmp_path / "rows") if (tmp_path / "rows").exists() else []
    assert set(left) <= {cache.LOCK}


WRONG_FILES = {
    "empty folder": ({}, "has no files that end in .parquet"),
    "cut": ({"a.parquet": "cut"}, "a.parquet cannot be read as Parquet"),
    "csv": ({"a.parquet": b"a,y\n1,2\n"}, "a.parquet is no Parquet file"),
    "columns": ({"a.parquet": XY, "b.parquet": {"b": [1.0], "y": [1.0]}},
                r"b.parquet lacks 'a' and also has 'b', other columns than a.parquet"),
    "types": ({"a.parquet": XY, "b.parquet": {"a": ["x"], "y": [1.0]}},
              r"X\['a'\] has 'x' .*row 0 of b.parquet"),
    "years": ({"year=2020/a.parquet": XY}, "in folders, such as year=2020"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG_FILES)
def test_files_that_do_not_go_together_are_refused(what, tmp_path):
    given, message = WRONG_FILES[what]
    path = tmp_path / "parts"
    path.mkdir()
    for name, content in given.items():
        (path / name).parent.mkdir(exist_ok=True)
        if isinstance(content, dict):
            pl.DataFrame(content).write_parquet(path / name)
        else:
            (path / name).write_bytes(b"PAR1" + bytes(50) if content == "cut" else content)
    with pytest.raises((ValueError, TypeError), match=message):
        to_memmap(path / "a.parquet" if what == "csv" else path, tmp_path / "rows", target="y")


def test_a_damaged_page_is_told(tmp_path):
    path = folder_of(tmp_path / "parts", compression="zstd")
    file = path / "part-1.parquet"
    content = bytearray(file.read_bytes())
    content[4:60] = bytes(56)
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"part-1\.parquet cannot be read as Parquet"):
        to_memmap(path, tmp_path / "rows", target="y")
    assert os.listdir(tmp_path / "rows") == [cache.LOCK]


def test_arguments_that_cannot_be_right_are_refused(tmp_path):
    for how, message in (
        ({"target": 3}, "target is 3, wanted the names"),
        ({"target": []}, "target is empty"),
        ({"target": "y", "columns": "a"}, "columns is 'a', wanted the names"),
        ({"target": "y", "columns": ["a", "y"]}, "'y' is named twice"),
        ({"sample_weight": [1.0]}, "sample_weight is list, wanted the name"),
        ({"dtype": "int8"}, "dtype is int8, wanted float32 or float64"),
        ({"changed": "keep"}, "changed is 'keep'"),
        ({"fingerprint": 1}, "fingerprint is 1"),
        ({"verbose": 2}, "verbose is 2"),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            to_memmap(TABLE, tmp_path / "rows", **how)
    assert not (tmp_path / "rows").exists()
    rows = to_memmap(TABLE, tmp_path / "rows", target="y", columns=["a"])
    with pytest.raises(TypeError, match="X is a Dataset, which has its own y, wanted none"):
        network().fit(rows, rows.y)
    alone = to_memmap(TABLE, tmp_path / "alone", columns=["a"])
    with pytest.raises(TypeError, match="y is missing, wanted the name"):
        network().fit(alone)
    with pytest.raises(TypeError, match="X is 'rows.parquet' .*, wanted an array of numbers, or"):
        network().fit("rows.parquet", np.ones(3))
    with pytest.raises(ValueError, match="preprocessing has OneHot, which reads whole columns"):
        network(preprocessing="one_hot").fit(rows)
    with pytest.raises(ValueError, match=r"X has nan at row 1, column 0 \('a'\)"):
        network().fit(to_memmap(frames({"a": [1, None], "y": [1, 2]}), tmp_path / "n", target="y"))


def test_types_of_columns_and_missing_numbers(tmp_path):
    big = 2**53 + 1
    cases = {
        "integers": ([{"a": [1, 2]}, {"a": [big]}], np.int64, [1, 2, big]),
        "a late missing one": ([{"a": [1, 2]}, {"a": [None, 4]}], np.float64, [1, 2, np.nan, 4]),
        "wider later": ([{"a": np.ones(2, "f4")}, {"a": np.full(1, 0.1)}], np.float64, [1, 1, 0.1]),
        "booleans": ([{"a": [True, False]}], np.uint8, [1, 0]),
        "infinity": ([{"a": [np.inf]}], np.float64, [np.inf]),
    }
    for number, (batches, dtype, expected) in enumerate(cases.values()):
        rows = to_memmap(frames(*batches), tmp_path / str(number))
        assert rows.X.dtype == dtype and rows.y is None
        assert np.array_equal(rows.X[:, 0], expected, equal_nan=True)
        assert np.array_equal(np.load(rows.folder / "X.npy"), rows.X, equal_nan=True)
    prices = pl.DataFrame({"a": [decimal.Decimal("1.25"), None]})
    for number, source in enumerate((prices.lazy(), prices.to_arrow().to_reader())):
        rows = to_memmap(source, tmp_path / f"decimal-{number}")
        assert np.array_equal(rows.X[:, 0], [1.25, np.nan], equal_nan=True)
    times = frames({"time": [1.7e9, 1.7e9 + 10], "y": [1.0, 2.0]})
    rows = to_memmap(times, tmp_path / "times", target="y")
    message = r"column 0 \('time'\) has numbers near 1.7e\+09 .*, and float32 moves them"
    with pytest.warns(UserWarning, match=message) as warned:
        network(preprocessing=None).fit(rows)
    assert warned[0].filename == __file__
    with pytest.warns(UserWarning, match=message) as warned:  # nobody could tell later
        to_memmap(times, tmp_path / "short", target="y", dtype="float32")
    assert warned[0].filename == __file__
    with pytest.raises(ValueError, match="X has 1e\\+300 at row 0, column 0, .*float32 can hold"):
        to_memmap(frames({"a": [1e300]}), tmp_path / "large", dtype="float32")


def test_a_file_that_changes_meanwhile_is_told(tmp_path, monkeypatch):
    path = folder_of(tmp_path / "parts")
    read = sources.Parquet.after
    for name, message in (
        ("part-0.parquet", "part-0.parquet changed"),
        ("z.parquet", "came or went"),
    ):

        def after(self, done, columns=None, name=name):
            TABLE[:7].write_parquet(path / name)
            yield from read(self, done, columns)

        source = sources.as_source(path)
        monkeypatch.setattr(sources.Parquet, "after", after)
        with pytest.raises(RuntimeError, match=message):
            to_memmap(source, tmp_path / "rows", target="y")
        monkeypatch.setattr(sources.Parquet, "after", read)
        (path / "z.parquet").unlink(missing_ok=True)


def test_a_full_disk_is_told_and_left_as_it_was(tmp_path, monkeypatch):
    path = folder_of(tmp_path / "parts")
    monkeypatch.setattr(
        cache.shutil, "disk_usage", lambda _: cache.shutil._ntuple_diskusage(9, 9, 0)
    )
    with pytest.raises(OSError, match="0.0 GB of rows do not fit into the 0.0 GB that are free"):
        to_memmap(path, tmp_path / "rows", target="y")
    monkeypatch.undo()

    def full(self, block):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache.ArrayFile, "append", full)
    with pytest.raises(OSError, match="the rows of .*parts do not fit"):
        to_memmap(path, tmp_path / "rows", target="y")
    assert os.listdir(tmp_path / "rows") == [cache.LOCK]


def test_without_pyarrow_the_way_to_get_it_is_told(tmp_path, monkeypatch):
    path = folder_of(tmp_path / "parts")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"wants pyarrow: pip install pyarrow, or fastnn-kern"):
        to_memmap(path, tmp_path / "rows", target="y")


def test_batches_without_end_leave_the_disk_to_others(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "_PIECE", 1)
    monkeypatch.setattr(cache, "_RESERVE", 2**60)
    endless = iter(lambda: (np.ones((5, 2)), np.ones(5)), None)
    with pytest.raises(OSError, match="the rows of batches do not fit"):
        to_memmap(endless, tmp_path / "rows")
    assert os.listdir(tmp_path / "rows") == [cache.LOCK]


def test_a_disk_without_room_for_transformed_rows_is_told(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    rows = to_memmap(TABLE, tmp_path / "rows", target="y", columns=INPUTS)
    monkeypatch.setattr("fastnn.inputs.on_disk._LARGE", 0)
    monkeypatch.setattr("os.posix_fallocate", full)
    fresh = network()
    with pytest.raises(OSError, match="0.0 GB for transformed rows do not fit.*rows"):
        fresh.fit(rows)
    assert not fresh.built and not fresh.preprocessing.fitted
