"""Ensembles from the command line: what `train` makes unless options choose a single network."""

import csv
import datetime
from pathlib import Path

import numpy as np
import pytest

pl = pytest.importorskip("polars")

from fastnn import tabular  # noqa: E402
from fastnn.__main__ import main  # noqa: E402
from fastnn.tables import Selection  # noqa: E402
from fastnn.tables.table import Table  # noqa: E402
from fastnn.tabular.recipe import PRESETS  # noqa: E402
from tests.commands import told  # noqa: E402

N = 200
RNG = np.random.default_rng(0)
CITIES = ["Oslo", "Bergen", ""]


def homes(n=N):
    """Return a table as text: numbers, texts, booleans, dates, and prices that depend on them."""
    rows = ["size,city,garden,built,grade,price"]
    for _ in range(n):
        size, city, garden = RNG.uniform(30, 200), RNG.integers(3), RNG.integers(2)
        built = datetime.date(2000, 1, 1) + datetime.timedelta(int(RNG.integers(9000)))
        price = 2 * size + 60 * city + 40 * garden + RNG.normal(0, 9)
        shown = "" if RNG.random() < 0.1 else f"{size:.1f}"
        grade = 9 if price < 250 else 10
        rows.append(f"{shown},{CITIES[city]},{bool(garden)},{built},{grade},{price:.2f}")
    return "\n".join(rows) + "\n"


HOMES = homes()


@pytest.fixture(scope="module", autouse=True)
def quick():
    patch = pytest.MonkeyPatch()
    recipe = tabular.Recipe(hidden=(8,), epochs=30, batch_size=32, folds=3)
    patch.setitem(PRESETS, "fast", (recipe,))
    yield
    patch.undo()


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Return the folder of a model of prices, `price.fastnn`, and one of `grade.fastnn`."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "homes.csv").write_text(HOMES)
    for target, ignored in (("price", "grade"), ("grade", "price")):
        argv = ["train", str(folder / "homes.csv"), "--target", target, "--ignore", ignored]
        assert main([*argv, "--output", str(folder / f"{target}.fastnn")]) == 0
    return folder


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Return a function that writes a table and runs a command: (status, out, err)."""
    monkeypatch.chdir(tmp_path)

    def command(name, text, *argv):
        if text is not None:
            Path("t.csv").write_text(text)
        capsys.readouterr()
        status = main([name, *map(str, argv)])
        captured = capsys.readouterr()
        return status, captured.out, told(captured.err)

    return command


def rows_of(printed):
    return list(csv.DictReader(printed.splitlines()))


def test_numbers_with_intervals(run, models):
    status, out, err = run("train", HOMES, "t.csv", "--target", "price", "--ignore", "grade")
    assert (status, err) == (0, "")
    assert "regression of 'price' on size, city, garden, built\n" in out
    assert "3 networks in " in out
    error, constant = (
        float(out.split(label)[1].split()[0].rstrip(";"))
        for label in ("root mean squared error ", "always the mean: ")
    )
    assert error < 0.5 * constant
    assert Path("t.fastnn").read_bytes() == (models / "price.fastnn").read_bytes()
    status, out, err = run("predict", None, "t.fastnn", "t.csv", "--interval", "0.8")
    assert status == 0 and "missing values, filled in" in err
    rows = rows_of(out)
    assert list(rows[0]) == ["price", "lower bound of price", "upper bound of price"]
    found = np.array([[float(value) for value in row.values()] for row in rows])
    price = np.array([float(row["price"]) for row in rows_of(HOMES)])
    assert np.corrcoef(found[:, 0], price)[0, 1] > 0.9
    assert 0.6 < np.mean((found[:, 1] <= price) & (price <= found[:, 2])) < 0.95


def test_classes_with_probabilities_in_order(run, models):
    status, out, _ = run("predict", HOMES, models / "grade.fastnn", "t.csv", "--probabilities")
    rows = rows_of(out)
    assert status == 0
    assert list(rows[0]) == ["grade", "probability of 9", "probability of 10"]
    for row in rows:
        nine, ten = float(row["probability of 9"]), float(row["probability of 10"])
        assert nine + ten == pytest.approx(1)
        assert row["grade"] == ("10" if ten > nine else "9")
    right = np.mean([a["grade"] == b["grade"] for a, b in zip(rows, rows_of(HOMES), strict=True)])
    assert right > 0.85


def test_options_for_the_other_kind_of_model(run, models):
    for name, option, message in (
        ("price", ["--probabilities"], "predicts numbers; --probabilities is for classes"),
        ("grade", ["--interval", "0.9"], "predicts classes; --interval is for numbers"),
    ):
        status, _, err = run("predict", HOMES, models / f"{name}.fastnn", "t.csv", *option)
        assert status == 2 and message in err
    argv = ["t.csv", "--target", "price"]
    status, _, err = run("train", HOMES, *argv, "--hidden", "8", "--time-limit", "9")
    assert status == 2 and "--hidden is for a single network, --time-limit for an ensemble" in err
    assert run("train", None, *argv, "--hidden", "none", "--epochs", "1")[0] == 0
    status, _, err = run("predict", None, "t.fastnn", "t.csv", "--interval", "0.9")
    assert status == 2 and "is a single network; --interval is for ensembles" in err


def test_a_report(run):
    argv = ["t.csv", "--target", "price", "--report", "r.html"]
    status, out, _ = run("train", HOMES, *argv)
    assert status == 0 and out.endswith("wrote t.fastnn\nwrote r.html\n")
    html = Path("r.html").read_text()
    assert "TabularRegressor" in html and "On the 40 rows given" in html
    status, _, err = run("train", None, *argv, "--output", "m.fastnn")
    assert status == 1 and "r.html: exists; give --force to replace it" in err
    for code, name, message in (
        (1, "t.csv", "never overwritten"),
        (2, "t.fastnn", "is the model's name"),
        (2, "-", "--report wants the name of a file"),
    ):
        more = ["--report", name, "--output", "t.fastnn", "--force"]
        status, _, err = run("train", None, *argv, *more)
        assert status == code and message in err and Path("t.csv").read_text() == HOMES
    status, _, err = run("train", None, *argv, "--hidden", "none", "--force")
    assert status == 2 and "--hidden is for a single network, --report for an ensemble" in err


def test_what_will_hurt_is_told(run):
    rows = HOMES.splitlines()
    lines = [f"{row},{number},7,{number % 28 + 1}/2/2024" for number, row in enumerate(rows[1:])]
    text = "\n".join([f"{rows[0]},number,constant,day", *lines])
    status, out, err = run("train", text, "t.csv", "--target", "grade", "--time-limit", "30")
    assert (
        status == 0 and "classification of 'grade' on size, city, garden, built, price, num" in out
    )
    for said in (
        "column 'price' alone predicts the target nearly perfectly (98.",
        "%): if it will not be known when you predict, --ignore price leaves it out",
        "column 'number' numbers the rows and is used as a number; --ignore number",
        "column 'constant' holds 7 only: of no use",
        "column 'day' holds dates or times, but not as in 2026-12-31: ignored",
        "target 'grade' holds 9 and 10 only, which are taken for classes; --task regression",
    ):
        assert said in err
    assert "'size' alone" not in err and "'city' alone" not in err


def test_a_leak_of_texts(run):
    lines = [f"{size},{'many' if size % 3 else 'few'},{'yn'[size % 3 == 0]}" for size in range(99)]
    status, _, err = run("train", "\n".join(["size,kind,y", *lines]), "t.csv", "--target", "y")
    assert (
        status == 0 and "column 'kind' alone predicts the target nearly perfectly (100.0%)" in err
    )
    assert "column 'size' alone" not in err
    lines = [f"{size},{'abc'[size % 3]},{size % 3 * 2}.5" for size in range(99)]
    status, _, err = run(
        "train", "\n".join(["size,kind,y", *lines]), "t.csv", "--target", "y", "--force"
    )
    assert (
        status == 0 and "column 'kind' alone predicts the target nearly perfectly (100.0%)" in err
    )


def test_predict_tells_what_differs_from_training(run, models):
    model = models / "price.fastnn"
    text = "built,city,size,garden,extra\n2020-05-01,Rome,1000,TRUE,1\n,Oslo,50,false,2\n"
    status, out, err = run("predict", text, model, "t.csv")
    assert status == 0 and len(out.splitlines()) == 3
    assert "'city' holds texts not seen in training in 1 of 2 rows, the first 'Rome'" in err
    assert "'size' holds numbers far outside those of training, 3" in err
    assert "in 1 of 2 rows, the first 1000 in line 2" in err
    assert "columns that the training table did not have are ignored: 'extra'" in err
    assert "garden" not in err and "'built' in 1" in err


@pytest.mark.parametrize(
    ("field", "message"),
    [
        (("size", "large"), "column 'size' held numbers in training; line 2 holds 'large'"),
        (("size", "inf"), "column 'size' is infinite or too large in line 2"),
        (("city", "7"), "column 'city' held texts in training, such as 'Bergen', 'Oslo'; now it"),
        (("built", "5 May"), "column 'built' held dates in training; line 2 holds '5 May'"),
        (("garden", None), "missing columns: 'garden'"),
    ],
)
def test_predict_refuses_what_does_not_fit(run, models, field, message):
    row = {"size": "50", "city": "Oslo", "garden": "true", "built": "2020-01-01"} | dict([field])
    row = {name: value for name, value in row.items() if value is not None}
    text = f"{','.join(row)}\n{','.join(row.values())}\n"
    status, out, err = run("predict", text, models / "price.fastnn", "t.csv")
    assert (status, out) == (1, "") and message in err and len(err.splitlines()) == 1


def test_parquet_and_csv_predict_the_same(run, models):
    frame = pl.read_csv(models / "homes.csv", try_parse_dates=True)
    times = pl.col("built").cast(pl.Datetime("ns")).dt.replace_time_zone("UTC")
    frame = frame.with_columns(built=times.dt.convert_time_zone("Europe/Oslo"))
    frame.write_parquet("t.parquet")
    printed = run("predict", HOMES, models / "price.fastnn", "t.csv")[1]
    assert run("predict", None, models / "price.fastnn", "t.parquet")[1] == printed


def test_an_ensemble_that_the_command_did_not_write(run):
    model = tabular.TabularRegressor().fit([[1.0]] * 9, range(9))
    model.save("m.fastnn")
    status, _, err = run("predict", HOMES, "m.fastnn", "t.csv")
    assert status == 1 and "m.fastnn: was not written by `fastnn train`" in err


FORGED = {
    "a list": lambda t: [t],
    "nothing": lambda t: {},
    "no columns": lambda t: t | {"columns": []},
    "columns of numbers": lambda t: t | {"columns": 3},
    "an unknown kind": lambda t: t | {"columns": [t["columns"][0] | {"kind": "x"}]},
    "another kind": lambda t: t | {"columns": [c | {"kind": "date"} for c in t["columns"]]},
    "a key more": lambda t: t | {"columns": [t["columns"][0] | {"more": 1}]},
    "a column less": lambda t: t | {"columns": t["columns"][:-1]},
    "columns in another order": lambda t: t | {"columns": t["columns"][::-1]},
    "a name of numbers": lambda t: t | {"columns": [t["columns"][0] | {"name": 3}]},
    "a range of text": lambda t: t | {"columns": [t["columns"][0] | {"low": "x"}]},
    "a target of numbers": lambda t: t | {"target": 3},
    "the target among the columns": lambda t: t | {"target": "size"},
    "columns of the table in numbers": lambda t: t | {"table_columns": [1]},
    "an unknown key": lambda t: t | {"more": 1},
    "a reading of text": lambda t: t | {"reading": "x"},
}


@pytest.mark.parametrize("name", FORGED)
def test_forged_descriptions_are_refused(run, models, name):
    model = tabular.load(models / "price.fastnn")
    model.save("forged", extra={"table": FORGED[name](model.extra_["table"])})
    status, out, err = run("predict", HOMES, "forged", "t.csv")
    assert (status, out) == (1, "") and "forged: its description of the table is " in err


def test_dates_of_any_spelling():
    texts = ["2024-01-05", "2024-01-05 10:30", "2024-01-05T10:30:00+02:00", None]
    table = Table.of(pl.DataFrame({"day": texts, "y": [1, 2, 3, 4]}))
    selection = Selection.fit(table, "y", np.arange(4.0), np.arange(4))
    assert selection.frame(table)["day"].dt.hour().to_list() == [0, 10, 8, None]
