"""Rows that are more than memory: what is written, read again, refused, and trained on."""

import json
import os
import pickle
import signal
import subprocess
import sys

import numpy as np
import pytest

import fastnn
from fastnn.data import cache, load, sources, stream, to_memmap

pa = pytest.importorskip("pyarrow")
pl = pytest.importorskip("polars")
pq = pytest.importorskip("pyarrow.parquet")

from tests.big import INPUTS, TABLE, N, folder_of, network, table  # noqa: E402


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    return folder_of(tmp_path_factory.mktemp("data") / "parts", TABLE.drop("w", "kind"))


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


def test_a_pickle_is_the_name_of_its_folder(tmp_path):
    rows = to_memmap(TABLE, tmp_path / "rows", target="y", columns=INPUTS)
    packed = pickle.dumps(rows)
    assert len(packed) < 1000 and np.array_equal(pickle.loads(packed).X, rows.X)
    to_memmap(TABLE[:9], tmp_path / "rows", target="y", columns=INPUTS)
    with pytest.raises(ValueError, match="other rows than when this Dataset was pickled"):
        pickle.loads(packed)


def test_progress_is_shown_with_the_time_left(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sources, "_ROWS", (100, 100))
    times = iter(range(100))
    monkeypatch.setattr("fastnn.data.progress.time.monotonic", lambda: 10.0 * next(times))
    to_memmap(TABLE, tmp_path / "rows", target="y", verbose=1)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("read 100 rows of frame, 17%, ") and lines[0].endswith(" left")
    assert lines[-1] == "read 600 rows of frame, 100%"
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    to_memmap(TABLE, tmp_path / "again", target="y", verbose=1)
    text = capsys.readouterr().out
    assert text.count("\n") == 1 and text.count("\r") > 3


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


def test_an_index_of_pandas_is_no_input(tmp_path):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0], "y": [1.0, 2.0, 3.0]})
    frame[frame.a > 1].to_parquet(tmp_path / "some.parquet")
    assert to_memmap(tmp_path / "some.parquet", tmp_path / "x", target="y").columns == ["a"]
    assert to_memmap(frame[frame.a > 1], tmp_path / "x", target="y").columns == ["a"]


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
    print(flush=True)
    time.sleep(0.005)
    append(*given)
cache.ArrayFile.append = slow
to_memmap(sys.argv[1], sys.argv[2], target="y", columns=["a", "b", "flag", "c"])
"""


@pytest.mark.long
def test_killed_writers_are_continued_and_two_at_once_agree(tmp_path):
    path = folder_of(tmp_path / "parts")
    how = {"target": "y", "columns": INPUTS}
    expected = to_memmap(path, tmp_path / "expected", **how).X.tobytes()
    command = [sys.executable, "-c", WRITER, path, tmp_path / "rows"]
    there = [0]
    for blocks in (1, 6, 20, 31):
        with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
            for _ in range(blocks):
                writer.stdout.readline()
            writer.send_signal(signal.SIGKILL)
        with pytest.raises(ValueError, match="does not hold all rows"):
            load(tmp_path / "rows")
        there.append(cache.manifest(tmp_path / "rows")["rows"])
    assert there == sorted(there) and 100 < there[-1] < N
    both = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for _ in range(2)]
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
