"""The command line, as a user types it."""

import csv
import os
import re
import shlex
import subprocess
import sys

import numpy as np
import pytest

import fastnn
from fastnn.__main__ import main
from fastnn.cli.parser import COMMANDS, parser
from fastnn.cli.report import classification_report, duration, regression_report
from fastnn.kernels.jit import cache_directory
from tests.commands import told


@pytest.fixture
def houses(tmp_path, monkeypatch):
    """Work in a directory that holds a small table; return its name."""
    pytest.importorskip("polars")
    generator = np.random.default_rng(0)
    rows = ["size,city,garden,price"]
    for _ in range(300):
        size, city = generator.uniform(30, 200), generator.integers(3)
        garden = generator.integers(2)
        price = 2 * size + 60 * city + 40 * garden + generator.normal(0, 5)
        shown = "" if generator.random() < 0.1 else f"{size:.1f}"
        rows.append(f"{shown},{['Oslo', 'Bergen', ''][city]},{bool(garden)},{price:.2f}")
    (tmp_path / "houses.csv").write_text("\n".join(rows) + "\n")
    monkeypatch.chdir(tmp_path)
    return "houses.csv"


def numbers_after(text, *labels):
    """Return the number that follows each label."""
    return [float(text.split(label)[1].split()[0].rstrip(";%")) for label in labels]


def refused(capsys, *argv, status=1):
    """Run a command that fails; return its one line of explanation."""
    assert main(list(argv)) == status
    (line,) = told(capsys.readouterr().err).splitlines()
    assert line.startswith("fastnn: error: ")
    return line.removeprefix("fastnn: error: ")


@pytest.mark.long
def test_demo_beats_the_constants_and_stays_narrow(capsys):
    assert main(["demo"]) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    assert text.isascii() and "\r" not in text and "\x1b" not in text
    error, constant = numbers_after(text, "mean absolute error ", "always the median: ")
    assert error < 0.8 * constant
    error, constant = numbers_after(text, "error rate ", "most frequent class: ")
    assert error < 5 and constant > 85
    assert text.count("samples/s\n") >= 2 and "matmul_nn" in text and "adam_update" in text


def test_train_and_predict_a_regression(houses, capsys):
    assert main(["train", houses, "--target", "price", "--epochs", "60"]) == 0
    text = capsys.readouterr().out
    error, constant = numbers_after(text, "mean absolute error ", "always the median: ")
    assert error < 0.5 * constant
    assert "wrote houses.fastnn" in text

    assert main(["predict", "houses.fastnn", houses, "--output", "prices.csv"]) == 0
    with open(houses) as given, open("prices.csv") as predicted:
        prices = [float(row["price"]) for row in csv.DictReader(given)]
        answers = [float(row["price"]) for row in csv.DictReader(predicted)]
    assert len(answers) == 300
    assert np.corrcoef(prices, answers)[0, 1] > 0.9
    assert capsys.readouterr().out == ""


def test_train_and_predict_classes(houses, capsys):
    argv = ["train", houses, "--target", "garden", "--hidden", "16", "--output", "g.model"]
    assert main([*argv, "--optimizer", "sgd", "--learning-rate", "0.05", "--threads", "1"]) == 0
    error, constant = numbers_after(capsys.readouterr().out, "error rate ", "most frequent class: ")
    assert error < constant
    assert main(["predict", "g.model", houses, "--probabilities"]) == 0
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert list(rows[0]) == ["garden", "probability of false", "probability of true"]
    for row in rows:
        false, true = float(row["probability of false"]), float(row["probability of true"])
        assert false + true == pytest.approx(1, abs=1e-5)
        assert row["garden"] == ("true" if true > false else "false")


def test_a_linear_network_under_mse(houses, capsys):
    assert main(["train", houses, "--target", "price", "--hidden", "none", "--loss", "mse"]) == 0
    assert "root mean squared error" in capsys.readouterr().out


def test_the_same_seed_gives_the_same_model(houses, capsys):
    for name in ("one.model", "two.model"):
        argv = ["train", houses, "--target", "price", "--epochs", "3", "--output", name]
        assert main([*argv, "--seed", "4"]) == 0
    one, two = (fastnn.load(name).get_weights() for name in ("one.model", "two.model"))
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))


def test_predict_says_what_does_not_fit(houses, tmp_path, capsys):
    assert main(["train", houses, "--target", "price", "--epochs", "1"]) == 0
    capsys.readouterr()
    model = "houses.fastnn"
    (tmp_path / "narrow.csv").write_text("city,extra\nOslo,1\n")
    message = refused(capsys, "predict", model, "narrow.csv")
    assert message == "narrow.csv: missing columns: 'size', 'garden'"
    (tmp_path / "texts.csv").write_text("size,city,garden\nlarge,Oslo,true\n")
    message = refused(capsys, "predict", model, "texts.csv")
    assert message.startswith(
        "texts.csv: column 'size' held numbers in training; line 2 holds 'large'. "
    )
    message = refused(capsys, "predict", model, houses, "--probabilities", status=2)
    assert message == f"{model}: predicts numbers; --probabilities is for classes"
    assert refused(capsys, "predict", houses, model, status=2).startswith(
        f"{houses}: is a table, w"
    )
    assert refused(capsys, "predict", "no.fastnn", houses) == "no.fastnn: No such file or directory"

    (tmp_path / "unseen.csv").write_text("garden,size,city\ntrue,50,Paris\n")
    assert main(["predict", model, "unseen.csv"]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("price\n")
    assert "note: unseen.csv: column 'city' holds texts not seen in training" in captured.err


def test_predict_refuses_a_model_without_a_table(houses, capsys):
    network = fastnn.Network([fastnn.Dense(1)])
    network.build(3)
    network.save("plain.fastnn")
    message = refused(capsys, "predict", "plain.fastnn", houses)
    assert message == "plain.fastnn: was not written by `fastnn train`"


@pytest.mark.parametrize(
    "argv, message",
    [
        (["--target", "cost"], "houses.csv: no column 'cost'; there are 'size', 'city', "),
        (["--target", "size"], "houses.csv: target column 'size' has no value in "),
        (["--target", "garden", "--task", "regression"], "houses.csv: regression needs numbers"),
        (["--target", "garden", "--loss", "mae"], "houses.csv: --loss mae is not for classif"),
        (
            ["--target", "price", "--test-size", "0.999"],
            "houses.csv: has 300 rows, of which --test-size 0.999 makes 300",
        ),
        (["--target", "price", "--output", "a/b"], "a/b: there is no directory a"),
    ],
)
def test_train_says_what_is_wrong(houses, capsys, argv, message):
    assert refused(capsys, "train", houses, *argv).startswith(message)


@pytest.mark.parametrize(
    "argv, message",
    [
        (["train", "x.csv"], "required: --target"),
        (
            ["train", "x.csv", "--target", "y", "--epochs", "0"],
            "0 is out of range, wanted at least 1",
        ),
        (["train", "x.csv", "--target", "y", "--hidden", "8,x"], "invalid list of layer sizes"),
        (["train", "x.csv", "--target", "y", "--learning-rate", "nan"], "nan is out of range"),
        (["train", "x.csv", "--target", "y", "--test-size", "1"], "wanted above 0 and below 1"),
        (
            ["train", "x.csv", "--target", "y", "--threads", "two"],
            "invalid whole number value: 'two'",
        ),
        (["explain", "20"], "20 is one size, wanted inputs-units-...-outputs"),
        (["explain", "20-x"], "wanted sizes such as 200-64-1"),
        (["fly"], "invalid choice: 'fly'"),
    ],
)
def test_usage_errors(capsys, argv, message):
    with pytest.raises(SystemExit) as exit:
        main(argv)
    assert exit.value.code == 2
    assert message in capsys.readouterr().err


def test_usage_errors_are_one_line_and_name_the_help(capsys):
    for argv, name in ((["train", "--fly"], "fastnn train"), (["--fly"], "fastnn")):
        with pytest.raises(SystemExit):
            main(argv)
        err = capsys.readouterr().err
        assert err.startswith("fastnn: error: ") and err.count("\n") == 1
        assert err.endswith(f"({name} --help lists what there is)\n")


def test_without_a_command_the_help_is_shown(capsys):
    assert main([]) == 2
    assert "train a model of your own table" in capsys.readouterr().err


@pytest.mark.parametrize("command", [None, *COMMANDS])
def test_help_fits_the_screen_and_shows_examples(capsys, monkeypatch, command):
    monkeypatch.setenv("COLUMNS", "80")
    help_of_all = parser()
    with pytest.raises(SystemExit) as exit:
        help_of_all.parse_args([*([command] if command else []), "--help"])
    assert exit.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: fastnn {command or '['}")
    assert max(map(len, text.splitlines())) <= 80 and text.isascii()
    examples = re.findall(
        r"^  (?:.* \| )?(?:python -m )?fastnn (\w+)([^\\\n]*(?:\\\n.*)?)", text, re.MULTILINE
    )
    assert {name for name, _ in examples} == {command} or not command
    for name, rest in examples:  # as a shell reads them
        arguments = re.split(r" [|>] ", rest.replace("\\\n", ""))[0]
        if name != "bench":
            help_of_all.parse_args([name, *shlex.split(arguments)])
    assert examples


def test_version_and_help_load_nothing_that_they_do_not_need(capsys):
    with pytest.raises(SystemExit) as exit:
        main(["--version"])
    assert exit.value.code == 0 and capsys.readouterr().out == f"fastnn {fastnn.__version__}\n"
    program = (
        "import sys, fastnn; before = set(sys.modules); from fastnn.__main__ import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: print(*set(sys.modules) - before, file=sys.stderr)"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    added = {
        name for name in result.stderr.split() if name.startswith(("fastnn", "numpy", "numba"))
    }
    assert added == {"fastnn.__main__", *(f"fastnn.cli{n}" for n in ("", ".parser", ".options",
                                                                     ".usage"))}  # fmt: skip


def test_a_loss_that_is_not_finite_is_one_line(houses, capsys):
    argv = ["--target", "price", "--loss", "mse", "--optimizer", "sgd", "--learning-rate", "1e30"]
    assert "the loss is not finite in epoch" in refused(capsys, "train", houses, *argv)


def test_ctrl_c_is_one_line(monkeypatch, capsys):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr("fastnn.cli.demo.demo", interrupted)
    assert main(["demo"]) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_explain_lists_and_times_the_steps(capsys):
    argv = ["explain", "20-8-1", "--rows", "400", "--batch-size", "10", "--threads", "1"]
    assert main([*argv, "--optimizer", "sgd"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("A batch: 10 rows, float32, 1 thread, 17 steps, 2 barriers\n")
    assert "us/batch" in text and "mae_forward" in text and "An epoch is 40 batches." in text
    assert max(map(len, text.splitlines())) <= 100 and text.isascii()


def test_explain_without_times_and_with_code(capsys):
    argv = ["explain", "20-3", "--no-times", "--no-shuffle", "--code"]
    assert main(argv) == 0
    text = capsys.readouterr().out
    assert "us/batch" not in text and "gather_rows" not in text
    assert "def softmax_cross_entropy_forward_float32_int64(i, f, c):" in text


@pytest.mark.parametrize("loss", ["gamma", "mse"])
def test_explain_any_loss(loss, capsys):
    assert main(["explain", "20-1", "--no-times", "--loss", loss]) == 0
    assert f"{loss}_backward" in capsys.readouterr().out


def test_info(capsys):
    assert main(["info"]) == 0
    text = capsys.readouterr().out
    for name in (
        "numpy",
        "numba",
        "processor",
        "instruction set",
        "cores allowed",
        "threads",
        "cache",
    ):
        assert f"\n{name} " in text


def test_warmup_names_the_cache(monkeypatch, capsys):
    monkeypatch.setattr("fastnn.warmup.warmup", lambda: None)
    assert main(["warmup"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith(f"compiling into {cache_directory()} ")
    assert second.startswith("done in ")


def test_bench_outside_a_checkout(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(fastnn, "__file__", str(tmp_path / "fastnn" / "__init__.py"))
    assert "checkout" in refused(capsys, "bench", "--quick")


def test_the_module_runs(tmp_path):
    command = [sys.executable, "-m", "fastnn", "predict", "no.fastnn", "no.csv"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr == "fastnn: error: no.fastnn: No such file or directory\n"


@pytest.mark.parametrize("command", ["info", "--help"])
def test_a_closed_pipe_is_quiet(command):
    argv = [sys.executable, "-m", "fastnn", command]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == 1 or command == "--help"  # argparse may not notice
    process.stderr.close()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is full")
def test_a_full_disk_is_one_line():
    with open("/dev/full", "w") as full:
        result = subprocess.run(
            [sys.executable, "-m", "fastnn", "info"], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert result.returncode == 1
    assert result.stderr == "fastnn: error: No space left on device\n"


def test_reports():
    target, trained = np.array([1.0, 5.0]), np.array([1.0, 2.0, 9.0])
    line = regression_report("mae", target, np.array([1.0, 4.0]), trained)
    assert line == "test mean absolute error 0.5; always the median: 2"
    line = regression_report("mse", target, np.array([1.0, 3.0]), trained)
    assert line == "test root mean squared error 1.414; always the mean: 2.236"
    labels = np.array(["a", "b", "b", "b"])
    line = classification_report(labels, np.array(["a", "b", "b", "a"]), np.array(["a", "a", "b"]))
    assert line == "test error rate 25.0%; always the most frequent class: 75.0%"
    assert duration(2e-7) == "0.2 us"
