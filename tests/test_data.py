"""Rows that are more than memory: what is written, read again, refused, and trained on."""

import datetime
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import fastnn
from fastnn.data import cache, load, sources, stream, to_memmap

pa = pytest.importorskip("pyarrow")
pl = pytest.importorskip("polars")
pq = pytest.importorskip("pyarrow.parquet")

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


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    return folder_of(tmp_path_factory.mktemp("data") / "parts", TABLE.drop("w", "kind"))


def network(**settings):
    settings = {"preprocessing": "standardize", "optimizer": "adam", **settings}
    return fastnn.Network([fastnn.Dense(8, "relu"), fastnn.Dense(1)], **settings)


def weights(trained):
    return [each.tobytes() for each in trained.get_weights()]


def fitted(*data, options=None, **settings):
    found = network(**settings)
    found.fit(*data, epochs=2, **(options or {}))
    return found


@pytest.fixture(scope="module")
def reference():
    return fitted(TABLE[INPUTS], TABLE["y"])


SMALL = TABLE.drop("w", "kind")
SOURCES = {
    "folder": lambda path: str(path),
    "path": lambda path: path,
    "pattern": lambda path: str(path / "part-*.parquet"),
    "list": lambda path: sorted(path.glob("*.parquet")),
    "query": lambda path: SMALL.lazy(),
    "scan": lambda path: pl.scan_parquet(path / "*.parquet"),
    "stream": lambda path: pa.RecordBatchReader.from_stream(SMALL),
    "generator": lambda path: (SMALL[n : n + 70] for n in range(0, N, 70)),
    "factory": lambda path: lambda: [SMALL[n : n + 250].to_pandas() for n in range(0, N, 250)],
}


@pytest.mark.parametrize("kind", SOURCES)
def test_a_fit_has_the_bits_of_one_in_memory(kind, parts, reference):
    if kind == "factory":
        pytest.importorskip("pandas")
    trained = fitted(SOURCES[kind](parts), "y")
    assert weights(trained) == weights(reference)
    assert list(trained.feature_names_in_) == INPUTS


def test_other_ways_to_fit_have_the_bits_too(tmp_path):
    path = folder_of(tmp_path / "parts")
    X, both = TABLE[INPUTS], TABLE[["y", "w"]]
    rows = to_memmap(path, tmp_path / "rows", target="y", sample_weight="w", columns=INPUTS)
    assert len(rows) == N and rows.X.dtype == np.float64 and rows.sample_weight.shape == (N,)
    for options in ({}, {"validation_split": 0.25}):
        expected = fitted(X, TABLE["y"], options={"sample_weight": TABLE["w"], **options})
        assert weights(fitted(rows, options=options)) == weights(expected)
    X_, y, w = rows
    assert weights(fitted(X_, y, options={"sample_weight": w})) != weights(expected)  # no split
    # Without preprocessing, which computes in float64, float32 is as good.
    small = to_memmap(path, tmp_path / "small", target="y", columns=INPUTS, dtype="float32")
    plain = fitted(small, preprocessing=None)
    assert weights(plain) == weights(fitted(X, TABLE["y"], preprocessing=None))

    # Labels, and several targets.
    def classifier():
        layers = [fastnn.Dense(8, "relu"), fastnn.Dense(3, "softmax")]
        return fastnn.Network(layers, loss="softmax_cross_entropy")

    one, two = classifier(), classifier()
    one.fit(to_memmap(path, tmp_path / "kinds", target="kind", columns=INPUTS))
    two.fit(X, TABLE["kind"])
    assert weights(one) == weights(two)
    pair = fastnn.Network([fastnn.Dense(2)])
    pair.fit(to_memmap(path, tmp_path / "pair", target=["y", "w"], columns=INPUTS))
    other = fastnn.Network([fastnn.Dense(2)])
    other.fit(X, both)
    assert weights(pair) == weights(other) and pair.model.names == other.model.names


def test_evaluation_and_prediction_read_files_too(parts, reference, tmp_path):
    X, y = TABLE[INPUTS], TABLE["y"]
    assert reference.evaluate(parts, "y") == reference.evaluate(X, y)
    assert np.array_equal(reference.predict(parts), reference.predict(X))  # without "y"
    rows = to_memmap(parts, tmp_path / "rows", target="y")
    assert np.array_equal(reference.predict(rows), reference.predict(X))
    batches = (X[n : n + 100].to_numpy() for n in range(0, N, 100))
    assert np.array_equal(reference.predict(batches), reference.predict(X))
    history = network().fit(parts, "y", validation_data=(parts, "y"))
    assert history.history["val_loss"] == network().fit(X, y, validation_data=(X, y)).history[
        "val_loss"
    ]  # fmt: skip


@pytest.mark.parametrize(
    "chain", ["standardize", "min_max", "robust_scale", "whiten", ["center", "impute", "pca"]]
)
def test_preprocessing_in_files_has_the_bits_of_memory(chain, tmp_path, monkeypatch):
    monkeypatch.setattr("fastnn.inputs.on_disk._LARGE", 0)  # every result is in a file
    frame = TABLE.with_columns(constant=pl.lit(0.1) + pl.col("b") * 1e-17)
    if "impute" in chain:
        frame = frame.with_columns(a=pl.when(pl.col("b") > 2).then(pl.col("a")))
        chain = ["impute", "center", "pca"]
    columns = [*INPUTS, "constant"]
    rows = to_memmap(frame, tmp_path / "rows", target="y", columns=columns)
    X, options = frame[columns], {"validation_split": 0.2}
    here = fitted(X, frame["y"], options=options, preprocessing=chain)
    there = fitted(rows, options=options, preprocessing=chain)
    assert weights(there) == weights(here)
    assert there.evaluate(rows) == here.evaluate(X, frame["y"])
    assert sorted(os.listdir(rows.folder)) == ["X.npy", cache.MANIFEST, cache.LOCK, "y.npy"]


def test_a_second_call_reads_nothing_and_a_changed_source_is_read_again(tmp_path):
    path = folder_of(tmp_path / "parts")
    how = {"target": "y", "columns": INPUTS}
    first = to_memmap(path, tmp_path / "rows", **how)
    stamp = os.stat(first.folder / "X.npy").st_ino
    assert to_memmap(str(path), tmp_path / "rows", **how).X.tobytes() == first.X.tobytes()
    assert os.stat(first.folder / "X.npy").st_ino == stamp
    assert np.array_equal(load(first.folder).X, first.X)
    before = first.X.copy()
    table(seed=1)[:200].write_parquet(path / "part-1.parquet")
    with pytest.raises(ValueError, match="rows holds other rows than those of .*parts, or others"):
        to_memmap(path, tmp_path / "rows", **how, changed="error")
    second = to_memmap(path, tmp_path / "rows", **how)
    assert np.array_equal(second.X[200:400], table(seed=1)[:200][INPUTS].to_numpy())
    assert np.array_equal(first.X, before)  # whoever has mapped them keeps them
    table(200, seed=2).write_parquet(path / "part-9.parquet")  # a new file
    assert len(to_memmap(path, tmp_path / "rows", **how)) == N + 200
    assert to_memmap(path, tmp_path / "rows", target="y", columns=["a"]).X.shape == (N + 200, 1)
    # Nothing tells batches apart but their name.
    frames = [TABLE[:10]]
    calls = []

    def batches():
        calls.append(1)
        return frames

    for name, made in (("one", 1), ("one", 1), ("two", 2), (None, 3), (None, 4)):
        to_memmap(batches, tmp_path / "named", **how, fingerprint=name)
        assert len(calls) == made


def test_torn_files_are_written_again(tmp_path):
    path = folder_of(tmp_path / "parts")
    how = {"target": "y", "columns": INPUTS}
    rows = to_memmap(path, tmp_path / "rows", **how)
    expected, x = rows.X.tobytes(), rows.folder / "X.npy"
    for damage in ("cut", "lost", "manifest", "not whole"):
        if damage == "cut":
            os.truncate(x, 1000)
        elif damage == "lost":
            x.unlink()
        else:
            made = json.loads((rows.folder / cache.MANIFEST).read_text())
            torn = "{" if damage == "manifest" else json.dumps(made | {"whole": False, "rows": 71})
            (rows.folder / cache.MANIFEST).write_text(torn)
        with pytest.raises(ValueError, match="does not hold all rows"):
            load(rows.folder)
        assert to_memmap(path, tmp_path / "rows", **how).X.tobytes() == expected
    other = tmp_path / "other"
    other.mkdir()
    (other / "y.npy").touch()
    with pytest.raises(FileExistsError, match=r"y\.npy exists, and to_memmap did not write it"):
        to_memmap(path, other, **how)
    with pytest.raises(FileNotFoundError, match="no folder"):
        load(tmp_path / "nowhere")


@pytest.mark.parametrize("at", [0, 90, 350])
def test_an_interrupted_call_is_continued(at, tmp_path, monkeypatch):
    path = folder_of(tmp_path / "parts")
    monkeypatch.setattr(cache, "_PIECE", 1)  # every block is made to last
    monkeypatch.setattr(sources, "_ROWS", (50, 50))
    how = {"target": "y", "sample_weight": "w", "columns": INPUTS}
    expected = to_memmap(path, tmp_path / "expected", **how)
    read, seen = sources.Parquet.after, []

    def interrupted(self, done, columns=None):
        count = 0
        for block in read(self, done, columns):
            if not seen and count >= at:
                seen.append(count)
                raise KeyboardInterrupt
            count += len(block.rows)
            yield block

    monkeypatch.setattr(sources.Parquet, "after", interrupted)
    with pytest.raises(KeyboardInterrupt):
        to_memmap(path, tmp_path / "rows", **how)
    starts = []
    monkeypatch.setattr(
        sources.Parquet,
        "after",
        lambda self, done, names: starts.append(done) or read(self, done, names),
    )
    rows = to_memmap(path, tmp_path / "rows", **how)
    assert starts == seen
    for name in cache.FILES.values():
        assert (rows.folder / name).read_bytes() == (expected.folder / name).read_bytes()


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
    "no source": (np.ones((2, 2)), TypeError, "source is ndarray, wanted a path"),
    "nowhere": ("nowhere.parquet", FileNotFoundError, "nowhere.parquet"),
    "no match": ("no*where.parquet", FileNotFoundError, "fits no file"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_rows_is_refused_and_nothing_is_left(what, tmp_path):
    source, kind, message = REFUSED[what]
    with pytest.raises(kind, match=message):
        to_memmap(source, tmp_path / "rows", target="y")
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
    times = frames({"time": [1.7e9, 1.7e9 + 10], "y": [1.0, 2.0]})
    rows = to_memmap(times, tmp_path / "times", target="y")
    message = r"column 0 \('time'\) has numbers near 1.7e\+09 .*, and float32 moves them"
    with pytest.warns(UserWarning, match=message) as warned:
        network(preprocessing=None).fit(rows)
    assert warned[0].filename == __file__
    with pytest.warns(UserWarning, match=message) as warned:  # nobody could tell later
        to_memmap(times, tmp_path / "short", target="y", dtype="float32")
    assert warned[0].filename == __file__
    with pytest.raises(ValueError, match="X has 1e\\+300 at row 0, column 0 .*float32 can hold"):
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
    with pytest.raises(OSError, match="0.0 GB for 600 rows, and 0.0 GB are free"):
        to_memmap(path, tmp_path / "rows", target="y")
    monkeypatch.undo()

    def full(self, block):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache.ArrayFile, "append", full)
    with pytest.raises(OSError, match="the rows of .*parts do not fit"):
        to_memmap(path, tmp_path / "rows", target="y")
    assert os.listdir(tmp_path / "rows") == [cache.LOCK]


def test_fits_keep_their_files_where_they_are_told_to(parts, tmp_path, monkeypatch, reference):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    killed = tmp_path / "temporary" / "fastnn-data-killed"
    killed.mkdir()
    os.utime(killed, (0, 0))
    fitted(parts, "y")
    assert not os.listdir(tmp_path / "temporary")
    monkeypatch.setenv("FASTNN_DATA_DIR", str(tmp_path / "kept"))
    for _ in range(2):
        assert weights(fitted(parts, "y")) == weights(reference)
    assert len(os.listdir(tmp_path / "kept")) == 1
    fitted(TABLE[INPUTS + ["y"]].lazy(), "y")  # which nobody knows again
    assert len(os.listdir(tmp_path / "kept")) == 1


def test_streams_are_shuffled_within_a_window_by_their_seed(tmp_path):
    path = folder_of(tmp_path / "parts", TABLE.with_columns(y=pl.int_range(N)))

    def order(source=path, **how):
        how = {"target": "y", "columns": ["a"], "batch_size": 32, **how}
        found = list(stream(source, **how))
        assert {len(x) for x, _ in found[:-1]} <= {how["batch_size"]}
        assert all(x.flags.c_contiguous for x, _ in found)
        rows = np.concatenate([y for _, y in found])
        assert np.array_equal(
            np.concatenate([x for x, _ in found])[:, 0], TABLE["a"].to_numpy()[rows]
        )
        return rows

    assert np.array_equal(order(), np.arange(N))
    shuffled = order(shuffle_window=100)
    assert np.array_equal(np.sort(shuffled), np.arange(N))
    assert not np.array_equal(shuffled, np.arange(N))
    assert (shuffled - np.arange(N)).max() <= 100
    assert np.array_equal(shuffled, order(shuffle_window=100, batch_size=7))
    once = TABLE.with_columns(y=pl.int_range(N))
    parts = (once[n : n + 13] for n in range(0, N, 13))
    assert np.array_equal(shuffled, order(parts, shuffle_window=100))
    assert not np.array_equal(shuffled, order(shuffle_window=100, seed=1))
    assert len(order(shuffle_window=10_000)) == N
    for how, message in (
        ({"batch_size": 0}, "batch_size is 0"),
        ({"shuffle_window": 1}, "shuffle_window is 1"),
        ({"shuffle_window": -1}, "shuffle_window is -1"),
        ({"dtype": int}, "dtype is int64"),
    ):
        with pytest.raises(ValueError, match=message):
            stream(path, **how)
    x, y, w = next(stream(path, target="y", sample_weight="w", columns=INPUTS, dtype="float32"))
    assert x.dtype == np.float32 and y.shape == w.shape == (32,)


def test_wide_tables_and_groups_of_one_row(tmp_path):
    wide = {f"c{n}": np.arange(3.0) + n for n in range(2000)}
    pq.write_table(pa.table(wide), tmp_path / "wide.parquet")
    rows = to_memmap(tmp_path / "wide.parquet", tmp_path / "wide", target="c0")
    assert rows.X.shape == (3, 1999) and rows.X[2, 1998] == 2001
    pq.write_table(pa.table(TABLE[:50].to_arrow()), tmp_path / "thin.parquet", row_group_size=1)
    rows = to_memmap(tmp_path / "thin.parquet", tmp_path / "thin", target="y", columns=INPUTS)
    assert np.array_equal(rows.X, TABLE[:50][INPUTS].to_numpy())


WRITER = """
import sys, time
from fastnn.data import cache, sources, to_memmap
cache._PIECE, sources._ROWS = 1, (10, 10)
append = cache.ArrayFile.append
def slow(*given):
    time.sleep(0.002)
    append(*given)
cache.ArrayFile.append = slow
print("ready", flush=True)
to_memmap(sys.argv[1], sys.argv[2], target="y", columns=["a", "b", "flag", "c"])
"""


@pytest.mark.long
def test_killed_writers_are_continued_and_two_at_once_agree(tmp_path):
    path = folder_of(tmp_path / "parts")
    how = {"target": "y", "columns": INPUTS}
    expected = to_memmap(path, tmp_path / "expected", **how).X.tobytes()
    command = [sys.executable, "-c", WRITER, path, tmp_path / "rows"]
    for wait in (0.0, 0.05, 0.15, 0.2):
        with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
            writer.stdout.readline()
            time.sleep(wait)
            writer.send_signal(signal.SIGKILL)
        with pytest.raises((ValueError, FileNotFoundError)):
            load(tmp_path / "rows")
    there = cache.manifest(tmp_path / "rows")["rows"]
    assert 0 < there < N
    both = [subprocess.Popen(command) for _ in range(2)]
    assert [each.wait() for each in both] == [0, 0]
    assert load(tmp_path / "rows").X.tobytes() == expected


TRAINER = """
import fastnn, sys
def private():
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) // 1024
network = fastnn.Network([fastnn.Dense(8, "relu"), fastnn.Dense(1)], preprocessing="standardize")
network.fit("small.parquet", "c0", batch_size=512)
before = private()
network.reset()
import threading, time
peak, done = [0], threading.Event()
def watch():
    while not done.wait(0.01):
        peak[0] = max(peak[0], private())
thread = threading.Thread(target=watch)
thread.start()
network.fit("large.parquet", "c0", batch_size=512)
network.evaluate("large.parquet", "c0")
network.predict("large.parquet")
done.set()
thread.join()
print(peak[0] - before)
"""


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_memory_does_not_grow_with_the_rows(tmp_path):
    rng = np.random.default_rng(0)
    for name, n in (("small", 1000), ("large", 1_000_000)):
        columns = {f"c{number}": rng.random(n) for number in range(20)}
        pl.DataFrame(columns).write_parquet(tmp_path / f"{name}.parquet", row_group_size=50_000)
    command = [sys.executable, "-c", TRAINER]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 100  # of 160 MB of rows, and as much transformed
