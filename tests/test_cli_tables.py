"""What `train` and `predict` make of tables as people have them: nothing is dropped in silence."""

import gzip
import os
import random
import re
import shlex

import numpy as np
import pytest

pl = pytest.importorskip("polars")

import fastnn  # noqa: E402
from fastnn.__main__ import main  # noqa: E402
from tests.commands import told  # noqa: E402

CITIES = ["Oslo", "Bergen", "Rome"]
SIZES = [f"{30 + 7.5 * (i * 17 % 41):.1f}" for i in range(40)]
ROWS = [[size, CITIES[i % 3], f"{2 * float(size) + i % 3:.2f}"] for i, size in enumerate(SIZES)]
QUICK = ("--hidden", "none", "--epochs", "1", "--force")


def csv(*edits, header="size,city,price", separator=","):
    """Return the table as text, with some fields, each (row, column, text), replaced."""
    rows = [list(row) for row in ROWS]
    for row, column, text in edits:
        rows[row][column] = text
    return "\n".join(separator.join(line) for line in [header.split(","), *rows]) + "\n"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Return the path of a model of the prices."""
    directory = tmp_path_factory.mktemp("model")
    (directory / "t.csv").write_text(csv())
    argv = ["--target", "price", "--output", str(directory / "m.fastnn")]
    assert main(["train", str(directory / "t.csv"), *argv, *QUICK]) == 0
    return str(directory / "m.fastnn")


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Return a function that writes `t.csv` and runs a command on it: (status, out, err)."""
    monkeypatch.chdir(tmp_path)

    def command(text, *argv, target="price", model=None, name="t.csv"):
        if text is not None:
            (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        train = ["train", name, "--target", target, *QUICK]
        capsys.readouterr()
        status = main([*(train if model is None else ["predict", model, name]), *argv])
        captured = capsys.readouterr()
        assert status in (0, 1, 2)
        assert (status > 0) == ("fastnn: error: " in captured.err)
        return status, captured.out, told(captured.err)

    return command


@pytest.mark.parametrize("mark", ["?", "-", "unknown", "n.a.", "#VALUE!", "12 m", "1.2.3"])
def test_a_few_marks_among_numbers_are_an_error_that_names_the_first(run, mark):
    text = csv((17, 0, mark), (30, 0, mark))
    status, _, err = run(text)
    assert status == 1
    assert (
        "t.csv: column 'size' seems to hold numbers, but cannot be read as such in 2 of 40" in err
    )
    assert f"the first {mark!r} in line 19" in err
    option = "--missing=-" if mark == "-" else f"--missing {mark}"
    assert option in err.replace("'", "") and "--text size" in err and "--ignore size" in err
    assert not os.path.exists("t.fastnn")


@pytest.mark.parametrize(
    "settle, said",
    [
        (
            ["--missing", "?", "--missing=-"],
            "on size, city\nmissing values, filled in: 'size' in 2",
        ),
        (["--ignore", "size"], "on city\n"),
        (["--text", "size"], "on size, city\n"),
    ],
)
def test_the_options_of_the_message_settle_it(run, settle, said):
    status, out, _ = run(csv((17, 0, "?"), (30, 0, "-")), *settle)
    assert status == 0 and said in out


@pytest.mark.parametrize("share", [0.3, 0.7])
def test_mostly_numbers_by_values_or_by_different_values(run, share):
    edits = [(row, 0, "?") for row in range(int(40 * share))]
    assert "'?' in line 2" in run(csv(*edits))[2]


def test_codes_with_some_numbers_are_texts_and_told(run):
    text = csv(*((row, 1, ["A1", "B2", "C3", "7"][row % 4]) for row in range(40)))
    status, out, err = run(text)
    assert status == 0 and "on size, city" in out
    assert "column 'city' is read as text, though 10 of 40 values look like numbers" in err


@pytest.mark.parametrize(
    "spell, separator, options",
    [
        (lambda x: f"{x:.2f}".replace(".", ","), ";", "--decimal ,"),
        (lambda x: f'"{1000 * x:,.1f}"', ",", "--thousands ,"),
        (lambda x: f"{1000 * x:,.0f}".replace(",", " "), ",", "--thousands ' '"),
        (lambda x: f"{1000 * x:,.0f}".replace(",", "\u202f"), "|", "--thousands ' '"),
        (lambda x: f"{10 * x:,.1f}".translate({44: 46, 46: 44}), "\t", "--decimal , --thousands ."),
    ],
)
def test_decimal_commas_and_thousands(run, spell, separator, options):
    rows = [[spell(float(size)), city, spell(float(price))] for size, city, price in ROWS]
    text = "\n".join(map(separator.join, [["size", "city", "price"], *rows]))
    status, _, err = run(text)
    assert status == 1 and f"Give {options} if it is " in err
    status, out, err = run(text, *shlex.split(options))
    assert status == 0 and "regression of 'price' on size, city" in out and err == ""


@pytest.mark.parametrize("spelling", ["${}", "{}%", "{} €", "\u2212{}", "{}kg", "{} m/s"])
def test_signs_and_units_are_not_lost(run, spelling):
    text = csv(*((row, 0, spelling.format(size)) for row, size in enumerate(SIZES)))
    status, _, err = run(text)
    assert status == 1 and f"the first '{spelling.format(SIZES[0])}' in line 2" in err
    assert "Leave only the numbers there" in err


@pytest.mark.parametrize(
    "text, message",
    [
        (csv((3, 2, "1,2")), "line 5 has 4 fields, the header has 3"),
        (csv().replace(f",{ROWS[3][2]}\n", "\n"), "line 5 has 2 fields, the header has 3"),
        (csv(header="size,price,price"), "columns 2 and 3 are both called 'price'"),
        (csv(header="price ,city,price"), "columns 1 and 3 are both called 'price'"),
        (csv().split("\n", 1)[1], "line 1 holds '30.0', a number"),
        (csv((4, 1, '"Oslo')), "line 6: unexpected end of data"),
        (csv(header="a,b,c"), "no column 'price'; there are 'a', 'b', 'c'; --no-header if"),
        ("size city price\n1 2 3\n", "--delimiter if there are more"),
        ("", "is empty"),
        ("\n1,2\n", "the first line is blank"),
        ("size,city,price\n", "has no rows"),
        (gzip.compress(csv().encode())[:-20], "damaged gzip file"),
        (csv().encode("utf-16"), "it is not UTF-8 text"),
        (
            csv((4, 2, "")),
            "target column 'price' has no value in 1 of 40 rows, the first of them line 6",
        ),
        (
            csv((4, 2, "?")),
            "column 'price' seems to hold numbers, but cannot be read as such in 1 of",
        ),
    ],
)
def test_files_that_are_refused(run, text, message):
    status, _, err = run(text)
    assert status == 1 and message in err and len(err.splitlines()) == 1


def test_blanks_around_names_quotes_windows_lines_and_a_mark_at_the_start(run):
    text = "\ufeff" + csv(header='"size ", city,price ', separator=", ").replace("\n", "\r\n")
    status, out, err = run(text, "--target", " price")
    assert (status, err) == (0, "") and "40 rows; regression of 'price' on size, city" in out


def test_without_a_header_no_row_is_lost(run, model):
    text = csv().split("\n", 1)[1]
    status, out, err = run(text, "--no-header", target="3")
    assert (status, err) == (0, "")
    assert "t.csv: 40 rows; regression of 'column_3' on column_1, column_2" in out
    status, out, _ = run(text, model="t.fastnn")
    assert status == 0 and len(out.splitlines()) == 41
    inputs = "".join(f"{size},{city}\n" for size, city, _ in ROWS)
    assert run(inputs, model="t.fastnn")[1] == out
    # The columns of a table with a header by their places, with the target or without it.
    with_header = run(csv(), model=model)[1]
    for given in (text, inputs):
        assert "give --no-header if it is data" in run(given, model=model)[2]
        status, out, err = run(given, "--no-header", model=model)
        assert out == with_header and "columns without names are taken for 'size', 'city'" in err
    assert "has 1 columns without names, wanted 3 or 2" in run("5\n", "--no-header", model=model)[2]


def test_a_header_taken_for_data_is_told(run):
    err = run(csv(), "--no-header", target="3")[2]
    assert "the first 'price' in line 1" in err and "leave out --no-header" in err


def test_names_that_are_numbers(run):
    text = csv(header="2019,city,2020")
    assert "or --header if these are names" in run(text, target="2020")[2]
    assert "'2020' on 2019, city" in run(text, "--header", target="2020")[1]
    assert run(text, model="t.fastnn")[0] == 0
    assert "of 'price' on 2019, city" in run(csv(header="2019,city,price"))[1]


@pytest.mark.parametrize(
    "values", [("0", "1"), ("1", "2"), ("-1", "1"), ("no", "yes"), ("true", "false")]
)
def test_two_values_are_classes(run, values):
    text = csv(*((row, 2, values[row % 2]) for row in range(40)))
    status, out, err = run(text)
    assert status == 0 and "classification of 'price'" in out and "2 classes: " in out
    if values[0] not in ("no", "true"):
        assert "--task regression predicts a number" in err
        assert "regression of 'price'" in run(text, "--task", "regression")[1]


def test_few_whole_numbers_and_odd_classes_are_told(run):
    text = csv(*((row, 2, str(row % 4)) for row in range(40)))
    _, out, err = run(text)
    assert "regression of" in out and "--task classification takes them for classes" in err
    _, out, err = run(text.replace(",1\n", ",1.0\n", 2), "--task", "classification")
    assert "4 classes: 0, 1, 2, 3" in out and err == ""
    text = csv(*((row, 2, ["yes", "no", "Yes", "?"][row % 4]) for row in range(40)))
    err = run(text)[2]
    assert "has the class '?'; give --missing '?'" in err
    assert "differ only in capitals: 'Yes', 'yes'" in err


@pytest.mark.parametrize("loss", ["gamma", "poisson"])
def test_losses_of_means(run, loss):
    status, out, _ = run(
        csv(), "--loss", loss, *"--epochs 50 --batch-size 4 --learning-rate 0.01".split()
    )
    assert status == 0 and f"network 4 - 1, {loss}, " in out
    error, constant = re.search(r"squared error (.*); always the mean: (\S*)", out).groups()
    assert float(error) < 0.5 * float(constant)
    status, out, _ = run(None, model="t.fastnn")
    predicted = np.array(out.split()[1:], float)
    wanted = np.array([row[2] for row in ROWS], float)
    assert (predicted > 0).all() and np.corrcoef(predicted, wanted)[0, 1] > 0.9
    bad, what = ("0", "numbers above 0") if loss == "gamma" else ("-3", "numbers of at least 0")
    status, _, err = run(csv((5, 2, bad)), "--loss", loss)
    assert status == 1
    assert f"--loss {loss} wants {what}; target column 'price' holds {bad} in line 7" in err


def test_what_is_ignored_or_of_no_use_is_listed(run):
    header = "id,day,note,constant,empty,size,city,price,"
    lines = [
        f"{row},2024-01-{row % 28 + 1:02d},text {row},5,,{','.join(fields)},"
        for row, fields in enumerate(ROWS)
    ]
    status, out, err = run("\n".join([header, *lines]))
    assert status == 0 and "on id, constant, size, city" in out
    for said in (
        "column 9 has no name and is called 'column_9'",
        "column 'id' numbers the rows and is used as a number; --ignore id",
        "column 'day' holds dates or times: ignored",
        "column 'note' holds 32 different texts in 32 rows, the first 'text 0' in line 2: ignored",
        "column 'constant' holds 5 only: of no use",
        "column 'empty' holds no values: ignored",
        "column 'column_9' holds no values: ignored",
    ):
        assert said in err


def test_options_that_find_nothing_are_told_or_refused(run):
    assert "--missing zzz: no value is that" in run(csv(), "--missing", "zzz")[2]
    assert "no column 'zzz'" in run(csv(), "--ignore", "zzz")[2]
    assert "--text names the target" in run(csv(), "--text", "price")[2]
    assert "both ','" in run(csv(), "--thousands", ",", "--decimal", ",")[2]
    assert "wanted one character" in run(csv(), "--delimiter", "::")[2]


def test_a_number_may_mean_a_missing_value(run):
    _, out, _ = run(csv((5, 0, "-999")), "--missing=-999")
    assert "missing values, filled in: 'size' in 1 of 40 rows" in out
    pl.read_csv("t.csv").write_parquet("t.parquet")
    _, out, err = run(None, "--missing=-999", name="t.parquet")
    assert "missing values, filled in: 'size' in 1 of 40 rows" in out and err == ""


@pytest.mark.parametrize(
    "columns, said",
    [
        ({"size": ["1,5", "2,5"]}, "data row 1 holds '1,5'. Give --decimal , if it is 1.5"),
        ({"size": [[1], [2]]}, "column 'size' held numbers in training"),
        ({"city": [[1], [2]]}, "held texts in training; now it has the type List"),
        (
            {"city": [7, 8]},
            "held texts in training, such as 'Bergen', 'Oslo', 'Rome'; now it holds",
        ),
    ],
)
def test_parquet_follows_the_same_rules(run, model, columns, said):
    frame = pl.DataFrame({"size": [1.5, 2.5], "city": ["Oslo", "Rome"]} | columns)
    frame.write_parquet("t.parquet")
    status, _, err = run(None, model=model, name="t.parquet")
    assert status == 1 and said in err
    assert "is Parquet" in run(None, "--no-header", model=model, name="t.parquet")[2]


def test_predict_tells_what_differs_from_training(run, model):
    status, out, err = run("extra,city,size\n1,Paris,5\n2,Oslo,\n", model=model)
    assert status == 0 and len(out.splitlines()) == 3
    assert "not seen in training in 1 of 2 rows, the first 'Paris' in line 2" in err
    assert "columns that the training table did not have are ignored: 'extra'" in err
    assert "missing values, filled in: 'size' in 1 of 2 rows" in err
    assert "missing columns: 'city'" in run("size\n1\n", model=model)[2]
    assert (
        "line 3 holds '?'. Give --missing '?'" in run("size,city\n1,Oslo\n?,Oslo\n", model=model)[2]
    )


def test_predict_reads_as_training_did_unless_told_otherwise(run):
    text = csv((3, 0, "?"), separator=";").replace(".", ",")
    assert run(text, "--decimal", ",", "--missing", "?")[0] == 0
    status, out, err = run(text, model="t.fastnn")
    assert status == 0 and "line" not in err
    points = text.replace(",", ".")
    assert "Give --decimal . if it is 30" in run(points, model="t.fastnn")[2]
    assert run(points, "--decimal", ".", model="t.fastnn")[1] == out


def test_a_model_whose_table_is_damaged(run, model):
    import fastnn

    network = fastnn.load(model)
    for table in (5, {}, network.extra["table"] | {"columns": [{"kind": "x"}]}):
        network.save("bad.fastnn", extra={"table": table})
        status, _, err = run(csv(), model="bad.fastnn")
        assert status == 1 and "its description of the table is damaged" in err


def test_random_damage_is_an_error_or_a_note_but_never_a_traceback(run, model):
    generator = random.Random(3)
    whole = run(csv(), model=model)[1]
    for _ in range(60):
        data = bytearray(csv().encode())
        place = generator.randrange(len(data))
        data[place : place + generator.randrange(3)] = generator.choice(
            [b"?", b",", b'"', b"\n", b"", b"-", b"\xff", b"\r", b";"]
        )
        status, out, err = run(bytes(data), model=model)
        assert status == 1 or len(out.splitlines()) == 41
    assert np.isfinite([float(line) for line in whole.splitlines()[1:]]).all()


FORGED = {
    "a list": lambda t: [t],
    "nothing": lambda t: None,
    "no columns": lambda t: t | {"columns": []},
    "columns of numbers": lambda t: t | {"columns": 3},
    "an unknown kind": lambda t: t | {"columns": [t["columns"][0] | {"kind": "date"}]},
    "a column twice": lambda t: t | {"columns": [t["columns"][0]] * 4},
    "a name of numbers": lambda t: t | {"columns": [t["columns"][0] | {"name": 3}]},
    "a mean of text": lambda t: t | {"columns": [t["columns"][0] | {"mean": "x"}]},
    "a scale below 0": lambda t: t | {"columns": [t["columns"][0] | {"scale": -1.0}]},
    "a median of nothing": lambda t: t | {"columns": [t["columns"][0] | {"median": None}]},
    "a flag of text": lambda t: t | {"columns": [t["columns"][0] | {"flag_missing": "no"}]},
    "categories of numbers": lambda t: t | {"columns": [t["columns"][1] | {"categories": [1, 2]}]},
    "categories in a text": lambda t: t | {"columns": [t["columns"][1] | {"categories": "abc"}]},
    "a category twice": lambda t: t | {"columns": [t["columns"][1] | {"categories": ["a", "a"]}]},
    "a column less": lambda t: t | {"columns": t["columns"][:1]},
    "a target of numbers": lambda t: t | {"target": 3},
    "an unknown task": lambda t: t | {"task": "ranking"},
    "another task": lambda t: t | {"task": "classification"},
    "classes of a regression": lambda t: t | {"classes": ["a", "b"]},
    "classes for one output": lambda t: t | {"task": "classification", "classes": ["a", "b"]},
    "a mean of nothing": lambda t: t | {"mean": None},
    "a scale of 0": lambda t: t | {"scale": 0.0},
    "notes of numbers": lambda t: t | {"notes": [3]},
    "columns of the table in numbers": lambda t: t | {"table_columns": [1, 2, 3]},
    "an unknown key": lambda t: t | {"more": 1},
    "a reading of text": lambda t: t | {"reading": "x"},
    "a decimal of numbers": lambda t: t | {"reading": {"decimal": 3}},
    "a delimiter of numbers": lambda t: t | {"reading": {"delimiter": 3}},
    "missing texts of numbers": lambda t: t | {"reading": {"missing": [3]}},
    "a header of text": lambda t: t | {"reading": {"header": "no"}},
}


@pytest.mark.parametrize("name", FORGED)
def test_forged_descriptions_are_refused(model, run, tmp_path, name):
    network = fastnn.load(model)
    network.save(tmp_path / "forged", extra={"table": FORGED[name](network.extra["table"])})
    status, out, err = run(csv(), model=str(tmp_path / "forged"))
    assert (status, out) == (1, "") and "forged: its description of the table is " in err
