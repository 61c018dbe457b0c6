"""``train`` under mpiexec: one model, one report, one error."""

import sys
from pathlib import Path

import numpy as np
import pytest

from fastnn.__main__ import main
from tests import mpi
from tests.commands import told

pytest.importorskip("polars")
pytestmark = [pytest.mark.long, mpi.needed]
CHOSEN = "--hidden", "9", "--epochs", "3", "--validation", "0.2"


@pytest.fixture
def table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(0).standard_normal((200, 3)).round(4)
    lines = [f"{a},{b},{c},{a - b}" for a, b, c in x]
    (tmp_path / "t.csv").write_text("\n".join(["a,b,c,y", *lines]) + "\n")
    return "t.csv"


def train(size, *options, **environment):
    """Return the exit status of `train` on so many ranks, and what they write."""
    own = [f"{name}={value}" for name, value in environment.items()]
    command = ["env", *own, sys.executable, "-W", "error", "-m", "fastnn", "train", *options]
    return mpi.finish(mpi.start([command] * size), 60)


def test_the_model_is_that_of_one_process(table, capsys):
    status, text = train(2, table, "--target", "y", *CHOSEN, "--output", "two.fastnn")
    assert status == 0, text
    assert text.count("wrote two.fastnn") == text.count("rows to train on") == 1
    assert text.count("2 processes share out each batch") == 1
    assert text.count("epoch 3/3") == 1
    alone = [table, "--target", "y", *CHOSEN, "--shards", "16", "--output", "one.fastnn"]
    assert main(["train", *alone]) == 0
    assert Path("one.fastnn").read_bytes() == Path("two.fastnn").read_bytes()
    assert main(["info", "two.fastnn"]) == 0
    assert "--shards 16" in capsys.readouterr().out


@pytest.mark.parametrize(
    "size, options, status, message",
    [
        (2, ["--hidden", "x"], 2, "argument --hidden: invalid list of layer sizes value: 'x'"),
        (2, ["--preset", "fast"], 2, "train a single network together: choose one"),
        (2, [*CHOSEN, "--ignore", "none"], 1, "'none'"),
        (3, CHOSEN, 1, "there are 3 ranks, wanted 1, 2, 4"),
    ],
)
def test_an_error_is_told_once(table, size, options, status, message):
    found, text = train(size, table, "--target", "y", *options)
    assert found == status, text
    assert told(text).count("fastnn: error: ") == 1 and message in told(text), text
    assert "Traceback" not in text


def test_without_mpi4py(table, tmp_path):
    (tmp_path / "mpi4py.py").write_text("raise ImportError('there is none')")
    found, text = train(2, table, "--target", "y", *CHOSEN, PYTHONPATH=f"{tmp_path}:{sys.path[0]}")
    assert found == 1 and told(text).count("fastnn-kernels[mpi]") == 1
