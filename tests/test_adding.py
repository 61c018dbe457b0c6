"""A new activation touches four files: its kernels, their twins, its class and its cases."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LIMIT = 240
END = ""
ADDED = [
    ("fastnn/kernels/smooth_activations.py", END, '''

@kernel("mn mn!")
def softsign_forward(x, out):
    """Softsign."""
    one = x.dtype.type(1)
    for k in range(x.size):
        out.flat[k] = x.flat[k] / (one + abs(x.flat[k]))


@kernel("mn mn mn mn!")
def softsign_backward(x, y, dy, dx):
    """Gradient of softsign."""
    one = y.dtype.type(1)
    for k in range(dy.size):
        root = one - abs(y.flat[k])
        dx.flat[k] = dy.flat[k] * (root * root)
'''),
    ("fastnn/reference/smooth_activations.py", END, '''

def softsign_forward(x, out):
    """Softsign."""
    np.divide(x, 1 + np.abs(x), out=out)


def softsign_backward(x, y, dy, dx):
    """Gradient of softsign."""
    np.multiply(dy, np.square(1 - np.abs(y)), out=dx)
'''),
    ("fastnn/activations.py", "\nclass Custom(", '''

class Softsign(Activation):
    """``f(t) = t / (1 + |t|)``."""

    name, range = "softsign", (-1.0, 1.0)

'''),
    ("tests/cases/activations.py", END, """
CASES += activation("softsign")
"""),
]  # fmt: skip
"""(file, what the new text goes in front of, the new text); END is the end of the file."""

PROGRAM = """
import sys
import numpy as np
import pytest
from fastnn import Adam, Dense, Network, kernels

out = np.empty((1, 2))
kernels.softsign_forward(np.array([[-1.0, 3.0]]), out)
assert out.tolist() == [[-0.5, 0.75]]

x = np.random.default_rng(0).uniform(-1, 1, (200, 3))
network = Network([Dense(4, "softsign"), Dense(1)], loss="mse", optimizer=Adam(0.02), seed=0)
network.fit(x, x[:, :1], epochs=20, batch_size=20)
assert network.evaluate(x, x[:, :1]) < x[:, 0].var() / 10

tests = [f"tests/test_{name}.py" for name in ("parity", "edges", "kernel_gradients")]
picked = "softsign_ or (softsign and -mse)"
sys.exit(pytest.main(["-n", "0", "-q", "-p", "no:cacheprovider", "-k", picked, *tests]))
"""


@pytest.mark.long
def test_adding_an_activation_touches_four_files(tmp_path):
    for folder in ("fastnn", "tests"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for file, before, text in ADDED:
        path = tmp_path / file
        code = path.read_text(encoding="utf-8")
        place = len(code) if before == END else code.index(before)
        path.write_text(code[:place] + text + code[place:], encoding="utf-8")
    environment = {"PYTHONPATH": str(tmp_path), "FASTNN_CACHE_DIR": str(tmp_path / "cache")}
    process = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=tmp_path,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert process.returncode == 0, process.stdout + process.stderr
    assert len({file for file, *_ in ADDED}) == 4
