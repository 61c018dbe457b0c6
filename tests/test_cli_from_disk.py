"""`train` on Parquet that is not read into memory: a folder, or a large file."""

import datetime

import numpy as np
import pytest

pl = pytest.importorskip("polars")
pytest.importorskip("pyarrow")

import fastnn  # noqa: E402
from fastnn.__main__ import main  # noqa: E402
from fastnn.cli import from_disk  # noqa: E402
from fastnn.data import sources  # noqa: E402
from tests.commands import told  # noqa: E402

N = 3000


def homes():
    rng = np.random.default_rng(0)
    size = rng.uniform(20, 200, N)
    town = rng.choice(["Bonn", "Ulm", "Kiel"], N)
    price = 2 * size + 10 * (town == "Ulm") + rng.normal(0, 2, N)
    return pl.DataFrame(
        {
            "size": [None if number % 7 == 0 else each for number, each in enumerate(size)],
            "town": list(town),
            "sold": rng.random(N) < 0.5,
            "built": [datetime.date(2026, 1, 1)] * N,
            "price": price,
            "kind": ["rare" if number == N - 1 else "big" if each > 200 else "small"
                     for number, each in enumerate(price)],
        }
    )  # fmt: skip


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FASTNN_DATA_DIR", str(tmp_path / "files"))
    (tmp_path / "files").mkdir()
    (tmp_path / "homes").mkdir()
    for number in range(3):
        part = homes()[number * 1000 : (number + 1) * 1000]
        part.write_parquet(f"homes/part-{number}.parquet", row_group_size=300)

    def command(*argv):
        status = main(["train", *argv, "--force"])
        captured = capsys.readouterr()
        assert not list((tmp_path / "files").iterdir())
        return status, captured.out, captured.err

    return command


def test_a_folder_trains_as_its_table_does(run, monkeypatch):
    monkeypatch.setattr(sources, "_ROWS", (250, 250))
    how = "--target", "price", "--ignore", "kind", "--epochs", "12"
    status, out, err = run("homes", *how, "--output", "m.fastnn")
    assert status == 0, err
    assert "homes: 3,000 rows; regression of 'price' on size, town, sold" in out
    assert "in a sample of 2," in out and "missing values, filled in: 'size' in" in out
    assert "column 'built' holds dates" in told(err) and "read 3,000 rows of homes, 100%" in err
    error = float(out.split("test mean absolute error ")[1].split(";")[0])
    homes().write_parquet("one.parquet")
    status, out, _ = run("one.parquet", *how, "--output", "n.fastnn")
    other = float(out.split("test mean absolute error ")[1].split(";")[0])
    assert abs(error - other) < 0.2 * other
    one, two = (fastnn.load(name).extra["table"] for name in ("m.fastnn", "n.fastnn"))
    assert [each["name"] for each in one["columns"]] == [each["name"] for each in two["columns"]]
    assert one["columns"][1] == two["columns"][1]  # the categories
    monkeypatch.setattr(from_disk, "LARGE", 0)
    assert "in a sample of" in run("one.parquet", *how, "--output", "n.fastnn")[1]


def test_predictions_are_those_of_one_table(run, monkeypatch, capsys):
    monkeypatch.setattr(sources, "_ROWS", (250, 250))
    assert run("homes", *"--target kind --epochs 1 --output m.fastnn".split())[0] == 0
    frame = homes().with_columns(
        town=pl.when(pl.int_range(N) == 1700).then(pl.lit("Rom")).otherwise(pl.col("town"))
    )
    frame.write_parquet("one.parquet")
    for number in range(3):
        frame[number * 1000 : (number + 1) * 1000].write_parquet(f"homes/part-{number}.parquet")
    options = "--keep", "price", "--probabilities", "--force", "--output"
    for data in ("homes", "one.parquet"):
        assert main(["predict", "m.fastnn", data, *options, f"{data[:3]}.csv"]) == 0
        err = told(capsys.readouterr().err)
        assert "not seen in training in 1 of" in err and "'Rom' in data row 1701" in err
    with open("hom.csv") as parts, open("one.csv") as one:
        assert parts.read() == one.read()


def test_classes_are_all_found_and_the_best_epoch_is_kept(run):
    how = "--target", "kind", "--ignore", "price", "--patience", "1", "--output", "m.fastnn"
    status, out, err = run("homes", *how)
    assert status == 0, err
    assert "3 classes: big, rare, small" in out and "kept the weights of epoch" in out
    assert fastnn.load("m.fastnn").extra["training"]["rows"].keys() == {
        "train", "validation", "test"
    }  # fmt: skip


def test_what_suits_no_table_from_disk_is_refused(run):
    pl.DataFrame({"a": ["x"], "price": [None]}).write_parquet("empty.parquet")
    for argv, message in (
        (["homes", "--target", "cost"], "homes: no column 'cost'; there are 'size'"),
        (["homes", "--target", "price", "--preset", "fast"], "--preset is for an ensemble"),
        (["homes", "--target", "price", "--delimiter", ";"], "are for CSV, and homes is Parquet"),
        (["homes", "--target", "price", "--validation", "v.parquet"], "No such file"),
        (["files", "--target", "price"], "files has no files that end in .parquet"),
        (["homes", "--target", "price", "--test-size", "0.0001"], "--test-size 0.0001 makes 0"),
    ):
        status, _, err = run(*argv)
        assert status in (1, 2) and message in told(err), err
    frame = homes()
    missing = frame.with_columns(price=pl.when(pl.int_range(N) != 2500).then(pl.col("price")))
    missing.write_parquet("homes/part-9.parquet")
    status, _, err = run("homes", "--target", "price", "--epochs", "1")
    assert status == 1 and "has no value in" in told(err) and "row 5501" in told(err)
