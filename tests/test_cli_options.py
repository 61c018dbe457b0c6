"""What `train`, `predict` and `info` do with their options, for models of both kinds."""

import csv
import datetime
import gzip
import io
import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest

pl = pytest.importorskip("polars")

import fastnn  # noqa: E402
from fastnn import tabular  # noqa: E402
from fastnn.__main__ import main  # noqa: E402
from fastnn.cli.options import loss_names  # noqa: E402
from fastnn.tabular.recipe import PRESETS  # noqa: E402
from tests.commands import told  # noqa: E402
from tests.exported import of_python  # noqa: E402

RNG = np.random.default_rng(0)
CITIES = ["Oslo", "Bergen", "Rome"]


def homes(n=60):
    """Return rows of texts with a header: an id, a number, a text, and four targets."""
    rows = [["id", "size", "city", "price", "count", "share", "big"]]
    for i in range(n):
        size, city = RNG.uniform(30, 200), CITIES[i % 3]
        price = 2 * size + 30 * len(city) + RNG.normal(0, 3)
        more = [f"{price:.2f}", str(int(size / 9)), f"{size / 200:.3f}", str(size > 110)]
        rows.append([f"{i:04d}", f"{size:.1f}", city, *more])
    return rows


HOMES = homes()
SINGLE = ("--hidden", "none", "--epochs", "1")


def text(rows=HOMES, separator=","):
    return "\n".join(map(separator.join, rows)) + "\n"


@pytest.fixture(scope="module", autouse=True)
def quick():
    patch = pytest.MonkeyPatch()
    recipe = tabular.Recipe(hidden=(8,), epochs=2, batch_size=32, folds=3)
    patch.setitem(PRESETS, "fast", (recipe,))
    yield
    patch.undo()


@pytest.fixture
def run(tmp_path, monkeypatch, capfdbinary):
    """Work in a folder with `t.csv`; return a function that runs a command: (status, out, err)."""
    monkeypatch.chdir(tmp_path)
    Path("t.csv").write_text(text())

    def command(*argv, given=b""):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
        capfdbinary.readouterr()
        status = main([str(each) for each in argv])
        out, err = capfdbinary.readouterr()
        return status, out, told(err.decode())

    def train(target, *argv, data="t.csv", ignored=("id",), **how):
        others = {"price", "count", "share", "big"} - {target} | set(ignored)
        options = [option for name in sorted(others) for option in ("--ignore", name)]
        return command("train", data, "--target", target, *options, *argv, "--force", **how)

    command.train = train
    return command


def rows_of(out):
    return list(csv.DictReader(out.decode().splitlines()))


# Losses

FITS = {
    "price": {"gamma", "gaussian_nll", "half_mse", "huber", "log_cosh", "mae", "mse", "poisson",
              "quantile", "smooth_l1"},
    "share": {"logistic"},
    "big": {"attribute_hinge", "logistic", "multiclass_hinge", "multiclass_squared_hinge",
            "probability_cross_entropy", "softmax_cross_entropy", "structured_hinge"},
}  # fmt: skip


def test_every_loss_fits_some_target():
    assert set.union(*FITS.values()) == set(loss_names())


@pytest.mark.long
@pytest.mark.parametrize("target, loss", [(t, loss) for t in FITS for loss in sorted(FITS[t])])
def test_each_loss_predicts_the_target_that_it_fits(run, target, loss, tmp_path):
    how = ["--loss", loss, "--hidden", "none", "--epochs", "60", "--batch-size", "4"]
    status, out, err = run.train(target, *how, "--learning-rate", "0.02")
    assert (status, err) == (0, "") and f", {loss}, adam".encode() in out
    error, constant = re.search(rb"test [a-z ]+ ([\d.]+).*: ([\d.]+)", out).groups()
    assert float(error) < 0.6 * float(constant)
    status, out, _ = run("predict", "t.fastnn", "t.csv")
    found = rows_of(out)
    truth = [row[HOMES[0].index(target)] for row in HOMES[1:]]
    if target == "big":
        right = [row["big"] == each.lower() for row, each in zip(found, truth, strict=True)]
        assert np.mean(right) > 0.85
        return
    predicted = [float(row[target]) for row in found]
    assert np.corrcoef(predicted, np.array(truth, float))[0, 1] > 0.95
    assert loss != "gaussian_nll" or min(float(r["standard deviation of price"]) for r in found) > 0


@pytest.mark.parametrize(
    "target, options, status, message",
    [
        ("price", "--loss softmax_cross_entropy", 1, "is not for regression, as 'price' is one"),
        ("price", "--loss attribute_hinge", 1, "or --task classification"),
        ("price", "--loss logistic", 1, "wants numbers from 0 to 1; target column 'price' holds"),
        ("city", "--loss mae", 1, "is not for classification, as 'city' is one; wanted one of mul"),
        ("city", "--loss logistic", 1, "--loss logistic is for two classes, 'city' has 3; wanted"),
        ("price", "--loss huber --loss-option alpha=3", 2, "the loss huber has delta"),
        ("price", "--loss mse --loss-option delta=3", 2, "the loss mse has reduction"),
        ("price", "--loss huber --loss-option delta=-1", 2, "--loss-option: delta is -1, wanted"),
        (
            "price",
            "--loss huber --loss-option delta=half",
            2,
            "--loss-option: delta is 'half' (str), wanted",
        ),
        ("price", "--loss huber --loss-option reduction=all", 2, "reduction is 'all', wanted"),
        ("city", "--loss structured_hinge --loss-option cost=[[0,1],[1,0]]", 2, "for 2 classes"),
    ],
)
def test_a_loss_that_does_not_fit_is_one_error(run, target, options, status, message):
    found, _, err = run.train(target, *options.split())
    assert found == status and message in err and err.count("\n") == 1
    assert not os.path.exists("t.fastnn")


def test_settings_of_losses(run):
    several = ("--loss", "quantile", "--loss-option", "quantiles=0.1,0.9", *SINGLE)
    assert run.train("price", *several)[0] == 0
    assert fastnn.load("t.fastnn").loss.quantiles == (0.1, 0.9)
    rows = rows_of(run("predict", "t.fastnn", "t.csv")[1])
    assert list(rows[0]) == ["quantile 0.1 of price", "quantile 0.9 of price"]
    how = ("--loss", "mse", "--loss-option", "reduction=sum", "--learning-rate", "0.01", *SINGLE)
    assert run.train("price", *how)[0] == 0
    assert fastnn.load("t.fastnn").loss == fastnn.losses.MSE(reduction="sum")
    cost = "cost=[[0,1,2],[1,0,5],[2,3,0]]"
    assert run.train("city", "--loss", "structured_hinge", "--loss-option", cost, *SINGLE)[0] == 0
    assert fastnn.load("t.fastnn").loss.cost[1] == [1, 0, 5]
    status, _, err = run("predict", "t.fastnn", "t.csv", "--probabilities")
    assert status == 2 and "trained with the loss structured_hinge, which gives no prob" in err


@pytest.mark.parametrize(
    "target, loss",
    [("big", "logistic"), ("big", "attribute_hinge"), ("city", "multiclass_hinge"),
     ("price", "quantile"), ("price", "gaussian_nll"), ("share", "logistic")],
)  # fmt: skip
def test_exports_say_what_predict_says(run, target, loss):
    assert run.train(target, "--loss", loss, "--hidden", "none", "--epochs", "3")[0] == 0
    assert run("export", "t.fastnn", "--to", "python")[0] == 0
    found = rows_of(run("predict", "t.fastnn", "t.csv")[1])
    sizes, cities = ([row[place] for row in HOMES[1:]] for place in (1, 2))
    given = {"size": np.array(sizes, float), "city": np.array(cities, object)}
    answers = of_python(Path("t.py"), given, "_outputs")
    if target in ("big", "city"):
        assert np.ravel(answers["label"]).tolist() == [row[target] for row in found]
    else:
        wanted = [[float(each) for each in row.values()] for row in found]
        assert answers["predictions"] == pytest.approx(np.array(wanted), rel=1e-5)


# When training stops


def test_a_single_network_stops_early_and_keeps_the_best(run):
    how = ["--hidden", "8", "--learning-rate", "0.05"]
    status, out, _ = run.train("price", *how)
    assert status == 0 and b"; 38 rows to train on, 10 to choose" in out
    found = re.search(
        rb"stopped after (\d+) epochs, as the loss on \d+ validation rows had not improved for 15; "
        rb"kept the weights of epoch (\d+)",
        out,
    )
    stopped, best = map(int, found.groups())
    assert stopped == best + 15 and fastnn.load("t.fastnn").model.epochs == stopped
    status, out, _ = run.train("price", *how, "--patience", "3")
    assert status == 0 and b"had not improved for 3; kept" in out


def test_epochs_that_are_given_are_kept(run):
    status, out, _ = run.train("price", *SINGLE)
    assert status == 0 and b"48 rows to train on\n" in out and b"trained for all 1 epochs\n" in out
    for more in (["--patience", "99"], ["--validation", "0.25"], ["--validation", "v.csv"]):
        Path("v.csv").write_text(text(HOMES[:13]))
        status, out, _ = run.train("price", "--hidden", "none", "--epochs", "3", *more)
        assert status == 0 and b"kept the weights of epoch 3, the best on " in out
        assert b" 10 validation rows" in out or b" 12 validation rows" in out


def test_few_rows_are_not_held_out(run):
    Path("t.csv").write_text(text(HOMES[:13]))
    status, out, _ = run.train("price", "--hidden", "none")
    assert status == 0 and b"100 epochs, as 10 rows are too few to hold some out\n" in out


@pytest.mark.parametrize(
    "edit, message",
    [
        (lambda rows: [], "v.csv: is empty"),
        (lambda rows: [row[:2] for row in rows], "v.csv: missing columns: 'city'"),
        (lambda rows: [[*row[:2], "Paris", *row[3:]] for row in rows[:2]] + rows[2:], "v.csv: "),
        (lambda rows: None, "v.csv: No such file"),
    ],
)
def test_a_validation_table_that_does_not_fit(run, edit, message):
    rows = edit([list(row) for row in HOMES])
    if rows is not None:
        Path("v.csv").write_text(text(rows) if rows else "")
    target = "city" if message == "v.csv: " else "price"
    status, _, err = run.train(target, "--validation", "v.csv")
    assert status == 1 and message in err


# Columns that are kept, formats and pipes


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Return the paths of a single network and of an ensemble for prices, read with options."""
    folder = tmp_path_factory.mktemp("models")
    rows = [[each.replace(".", ",") for each in row] for row in HOMES]
    rows[5][1] = "?"
    (folder / "t.csv").write_text("\ufeff" + text(rows, ";"))
    names = {"single": SINGLE, "ensemble": ()}
    for name, how in names.items():
        argv = ["train", folder / "t.csv", "--target", "price", "--decimal", ",", "--missing", "?"]
        for other in ("count", "share", "big", "id"):
            argv += ["--ignore", other]
        assert main([*map(str, argv), *how, "--output", str(folder / name)]) == 0
    return folder


@pytest.mark.parametrize("kind", ["single", "ensemble"])
def test_tables_of_every_format_predict_the_same(run, models, kind):
    status, whole, err = run("predict", models / kind, models / "t.csv", "--keep", "id")
    assert status == 0 and [row["id"] for row in rows_of(whole)] == [row[0] for row in HOMES[1:]]
    text_of = (models / "t.csv").read_bytes()
    Path("p.csv.gz").write_bytes(gzip.compress(text_of))
    Path("p.tsv").write_bytes(text_of.replace(b";", b"\t"))
    frame = pl.read_csv(models / "t.csv", separator=";", infer_schema=False)
    frame.write_parquet("p.pq")
    frame.write_ipc("p.feather")
    numbers = [None if row[1] == "?" else float(row[1].replace(",", ".")) for row in frame.rows()]
    frame.with_columns(size=pl.Series(numbers)).write_parquet("p.parquet")
    for name in ("p.csv.gz", "p.tsv", "p.pq", "p.feather", "p.parquet"):
        assert run("predict", models / kind, name, "--keep", "id")[:2] == (0, whole)
        given = Path(name).read_bytes()
        assert run("predict", models / kind, "-", "--keep", "id", given=given)[:2] == (0, whole)
    columns = text_of.decode().replace("size", "x", 1).replace("id", "size", 1).replace("x", "id")
    assert run("predict", models / kind, "-", given=columns.encode())[1] != whole  # by name


@pytest.mark.parametrize("kind", ["single", "ensemble"])
def test_predictions_in_every_format(run, models, kind):
    argv = ("predict", models / kind, models / "t.csv", "--keep", "id", "--keep", "city")
    _, printed, _ = run(*argv)
    assert run(*argv, "--output", "-")[1] == printed
    for name in ("o.parquet", "o.pq", "o.feather"):
        assert run(*argv, "--output", name)[:2] == (0, b"")
        frame = (pl.read_ipc if name.endswith("feather") else pl.read_parquet)(name)
        assert frame.write_csv().encode() == printed
        assert frame.columns == ["id", "city", "price"] and frame["price"].dtype == pl.Float64
    assert Path("o.parquet").read_bytes()[:4] == b"PAR1"


def test_what_is_kept_stays_as_it_stands(run, models):
    kept = "id,size,price,city\n 007 ,1.5,NA,TRUE\n,2,5,false\n"
    argv = ["--keep", "price", "--keep", "id", "--keep", "city", "--keep", "id", "--decimal", "."]
    status, out, err = run("predict", models / "single", "-", *argv, given=kept.encode())
    assert status == 0 and "--keep price: what is predicted is called 'prediction of price'" in err
    rows = list(csv.reader(out.decode().splitlines()))
    assert rows[0] == ["price", "id", "city", "prediction of price"]
    assert [row[:3] for row in rows[1:]] == [["NA", "007 ", "TRUE"], ["5", "", "false"]]
    status, _, err = run("predict", models / "single", "-", "--keep", "x", given=kept.encode())
    assert status == 1 and "standard input: no column 'x'; there are 'id', 'size'" in err
    frame = pl.DataFrame({"size": [1.5], "city": ["Oslo"], "tags": [["a"]], "n": [3]})
    frame.write_parquet("k.parquet")
    argv = ("predict", models / "single", "k.parquet", "--keep", "tags", "--keep", "n")
    assert "cannot be written as .csv" in run(*argv)[2]
    assert run(*argv, "--output", "k.feather")[0] == 0
    assert pl.read_ipc("k.feather").drop("price").rows() == [(["a"], 3)]


def test_a_column_without_a_header_is_kept_by_its_number(run):
    given = text(HOMES[1:]).encode()
    status, _, _ = run("train", "-", "--no-header", "--target", "4", *SINGLE, given=given)
    assert status == 0 and os.path.exists("model.fastnn")
    status, out, _ = run("predict", "model.fastnn", "-", "--keep", "1", given=given)
    assert status == 0 and out.splitlines()[1].startswith(b"0000,")


def test_a_model_through_pipes(run):
    given = text().encode()
    status, model, err = run.train("price", *SINGLE, "--output", "-", data="-", given=given)
    assert (status, err) == (0, "") and os.listdir() == ["t.csv"]
    Path("m.fastnn").write_bytes(model)
    assert run.train("price", *SINGLE, "--output", "n.fastnn")[0] == 0
    assert Path("n.fastnn").read_bytes() == model
    status, code, _ = run("export", "m.fastnn", "--to", "python", "--output", "-")
    assert status == 0 and b"def predict(" in code


@pytest.mark.parametrize(
    "argv, status, message",
    [
        (("predict", "-", "t.csv"), 2, "MODEL is the name of a file"),
        (("predict", "t.csv", "t.csv"), 2, "t.csv: is a table, wanted a model"),
        (("train", "-", "--target", "y", "--validation", "-"), 2, "are both standard input"),
        (("train", "-", "--target", "y"), 1, "standard input: is empty"),
        (("train", ".", "--target", "y"), 1, ".: . has no files that end in .parquet"),
        (("train", "t.csv", "--target", "price", "--output", "/nowhere/m"), 1, "no directory"),
        (("train", "t.csv", "--target", "price", "--decimal", ",", "--thousands", ","), 2, "both"),
        (("info", "t.csv"), 2, "is a table"),
        (("info", "none"), 1, "none: No such file"),
    ],
)
def test_what_is_refused_and_its_status(run, argv, status, message):
    found, out, err = run(*argv)
    assert (found, out) == (status, b"") and message in err and err.count("\n") == 1


@pytest.mark.parametrize(
    "content, message",
    [
        (b"id,size,city\n\xf8,1,Oslo\n", "holds the byte 0xf8; iconv -f WINDOWS-1252"),
        (b"PK\x03\x04" + bytes(30), "seems to be a spreadsheet or an archive"),
        (b"ARROW1" + bytes(30), "cannot be read as a table"),
        (b"id,size,city\n", "has no rows"),
    ],
)
def test_other_files_are_refused(run, models, content, message):
    status, out, err = run("predict", models / "ensemble", "-", given=content)
    assert (status, out) == (1, b"") and f"standard input: {message}" in err.replace(
        "cannot be read as a table: it is not UTF-8 text, as it ", "")  # fmt: skip


# What a model's file holds


def test_info_of_both_kinds(run, models):
    status, out, _ = run("info", models / "single")
    said = " ".join(out.decode().split())
    for part in (
        "kind a single network for a table: regression", "target price: a number",
        "city 3 categories: Bergen, Oslo, Rome", "read with --missing '?' --decimal ,",
        "loss MAE()", "optimizer Adam, learning rate 0.001", "epochs 1 (2 updates)",
        f"written by fastnn {fastnn.__version__}, the command train",
        "DATA --missing '?' --decimal , --ignore count", "--epochs 1 rows ",
        "48 to train on, 12 to test on", "error test mean absolute error ",
    ):  # fmt: skip
        assert status == 0 and part in said
    assert max(map(len, out.decode().splitlines())) <= 80
    status, out, _ = run("info", models / "ensemble")
    said = " ".join(out.decode().split())
    for part in (
        "an ensemble of 3 networks",
        "size numbers from 3",
        "error root mean squared error",
    ):
        assert status == 0 and part in said


def test_info_of_what_python_saved(run):
    network = fastnn.Network([fastnn.Dense(2, "relu"), fastnn.Dense(1)], preprocessing=["impute"])
    network.build(3)
    network.save("n.fastnn")
    said = " ".join(run("info", "n.fastnn")[1].decode().split())
    assert "kind a network" in said and "preprocessing Impute" in said and "Dense relu 2 8" in said
    frame = pl.DataFrame({"x": [1.0, 2, 3, 4], "day": [datetime.date(2024, 1, 1)] * 4})
    tabular.TabularClassifier().fit(frame, ["a", "b", "a", "b"]).save("m.fastnn")
    said = " ".join(run("info", "m.fastnn")[1].decode().split())
    assert "target 2 classes: a, b inputs 2 columns x numbers day dates" in said
    network.save("forged", extra={"table": 3})
    assert run("info", "forged")[2].endswith("forged: its description of the table is damaged: "
        "TypeError(\"'int' object is not iterable\")\n")  # fmt: skip
