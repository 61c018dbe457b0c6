"""The examples run, and draw where matplotlib is installed."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
NEEDS = {"estimators": ["sklearn"], "pruned_search": ["sklearn", "optuna"]}
EXAMPLES = sorted(p for p in (ROOT / "examples").glob("*.py") if p.name != "pictures.py")


@pytest.mark.long
@pytest.mark.parametrize("script", EXAMPLES, ids=[script.stem for script in EXAMPLES])
def test_example_runs(script, tmp_path):
    for name in NEEDS.get(script.stem, ()):
        pytest.importorskip(name)
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path), "--quick"],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout
    drawn = bool(list(tmp_path.glob("*.svg")))
    assert drawn == (importlib.util.find_spec("matplotlib") is not None)


def test_pictures_of_the_text_exist_and_are_small():
    text = (ROOT / "docs" / "experiments.md").read_text(encoding="utf-8")
    pictures = sorted((ROOT / "docs" / "pictures").iterdir())
    assert pictures
    for picture in pictures:
        assert f"(pictures/{picture.name})" in text
        assert picture.stat().st_size < 150_000
