"""Where the commands write: never over their input, over other files only with --force."""

import csv
import gzip
import os
from pathlib import Path

import numpy as np
import pytest

pl = pytest.importorskip("polars")

from fastnn.__main__ import main  # noqa: E402

TABLE = "size,price\n" + "".join(f"{i},{3 * i % 11}.5\n" for i in range(20))
TRAIN = ("--target", "price", "--hidden", "none", "--epochs", "1")


@pytest.fixture
def work(tmp_path, monkeypatch, capsys):
    """Work in a directory with a table and its model; return a runner of commands."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_text(TABLE)
    assert main(["train", "t.csv", *TRAIN]) == 0

    def command(*argv):
        capsys.readouterr()
        status = main(list(argv))
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return command


@pytest.fixture
def no_work(monkeypatch):
    """Fail if anything is trained or predicted."""

    def fail(*_, **__):
        raise AssertionError("refused only after the work")

    monkeypatch.setattr("fastnn.Network.fit", fail)
    monkeypatch.setattr("fastnn.Network.predict", fail)


def contents():
    return {path.name: path.read_bytes() for path in Path().iterdir() if path.is_file()}


def test_the_input_is_never_overwritten(work, no_work, tmp_path):
    os.symlink("t.csv", "link.csv")
    os.link("t.csv", "hard.csv")
    os.mkdir("d")
    os.symlink("../t.csv", "d/link.csv")
    os.link("t.fastnn", "model.csv")
    os.link("t.csv", "t.model")
    before = contents()
    for name in ("t.csv", "./t.csv", "d/../t.csv", str(tmp_path / "t.csv"), "link.csv", "hard.csv",
                 "d/link.csv", "model.csv"):  # fmt: skip
        status, _, err = work("predict", "t.fastnn", "t.csv", "--output", name, "--force")
        assert status == 1 and "which is never overwritten" in err
    for name in ("t.csv", "link.csv", "hard.csv", "t.model"):
        status, _, err = work("train", "t.csv", *TRAIN, "--output", name, "--force")
        assert status == 1 and "is the input t.csv" in err
    assert contents() == before


def test_other_files_are_replaced_only_by_force(work, no_work):
    before = contents()
    Path("old.csv").write_text("precious")
    for argv in (
        ("train", "t.csv", *TRAIN),
        ("train", "t.csv", *TRAIN, "--output", "t.fastnn"),
        ("predict", "t.fastnn", "t.csv", "--output", "old.csv"),
    ):
        status, _, err = work(*argv)
        assert status == 1 and "exists; give --force to replace it" in err
    assert contents() == before | {"old.csv": b"precious"}


def test_force_replaces_and_leaves_nothing_behind(work):
    Path("old.csv").write_text("precious")
    assert work("predict", "t.fastnn", "t.csv", "--output", "old.csv", "--force")[0] == 0
    assert Path("old.csv").read_text().startswith("price\n")
    assert work("train", "t.csv", *TRAIN, "--seed", "3", "--force")[0] == 0
    assert sorted(os.listdir()) == ["old.csv", "t.csv", "t.fastnn"]


def test_the_format_follows_the_name(work):
    _, printed, _ = work("predict", "t.fastnn", "t.csv")
    for name in ("o.csv", "o.tsv", "o.CSV.gz", "o.tsv.gz", "o.parquet"):
        assert work("predict", "t.fastnn", "t.csv", "--output", name) == (0, "", "")
    assert Path("o.csv").read_text() == Path("o.tsv").read_text() == printed
    for name in ("o.CSV.gz", "o.tsv.gz"):
        assert gzip.decompress(Path(name).read_bytes()).decode() == printed
    frame = pl.read_parquet("o.parquet")
    rows = list(csv.DictReader(printed.splitlines()))
    assert frame["price"].to_list() == [float(row["price"]) for row in rows]
    assert len(frame) == 20 and frame.dtypes == [pl.Float64]


@pytest.mark.parametrize("name", ["o.xlsx", "o", "o.gz", "o.parquet.gz", "o.json"])
def test_unknown_formats_list_the_known(work, no_work, name):
    status, _, err = work("predict", "t.fastnn", "t.csv", "--output", name)
    assert status == 2 and ".csv, .tsv, .csv.gz, .tsv.gz, .parquet" in err
    assert not os.path.exists(name)


@pytest.mark.parametrize(
    "name, status, said",
    [
        ("m.csv", 2, "is the name of a table"),
        ("m.parquet", 2, "is the name of a table"),
        ("no/m.fastnn", 1, "there is no directory no"),
        ("/dev/null", 1, "is not a regular file"),
        (".", 1, "is a directory"),
    ],
)
def test_names_that_a_model_cannot_have(work, no_work, name, status, said):
    found, _, err = work("train", "t.csv", *TRAIN, "--output", name, "--force")
    assert found == status and said in err and len(err.splitlines()) == 1


def test_a_write_protected_file_is_refused_first(work, no_work, monkeypatch):
    allowed = os.access
    monkeypatch.setattr(  # the administrator may write everywhere
        os, "access", lambda path, mode: str(path).endswith(".csv") and allowed(path, mode)
    )
    status, _, err = work("train", "t.csv", *TRAIN, "--force")
    assert status == 1 and "write-protected" in err


def test_a_link_to_nowhere_counts_as_a_file(work, no_work):
    os.symlink("not-there.csv", "link.csv")
    status, _, err = work("predict", "t.fastnn", "t.csv", "--output", "link.csv")
    assert status == 1 and "exists" in err


def test_predictions_keep_their_digits(work):
    """A target far from 0 loses nothing to a short number of digits."""
    rows = "".join(f"{i},{1_700_000_000 + i}\n" for i in range(20))
    Path("far.csv").write_text("size,price\n" + rows)
    assert work("train", "far.csv", *TRAIN)[0] == 0
    _, printed, _ = work("predict", "far.fastnn", "far.csv")
    assert len(np.unique([float(line) for line in printed.splitlines()[1:]])) == 20
