"""The examples run, draw where matplotlib is installed, and print what the pages say of them."""

import functools
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
NEEDS = {
    "estimators": ["sklearn"],
    "pruned_search": ["sklearn", "optuna"],
    "losses_compared": ["scipy"],
}
EXAMPLES = sorted(p for p in (ROOT / "examples").glob("*.py") if p.name != "pictures.py")
NAMED = re.compile(r"`(\w+)\.py`")
NUMBER = re.compile(r"(?<![\w.])[-+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?(?![\w])")


@functools.cache
def printed(script, directory):
    """Run an example, in full if a page has numbers of it; return what it prints."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    quick = [] if script.stem in CLAIMS else ["--quick"]
    done = subprocess.run(
        [sys.executable, str(script), str(directory), *quick],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def claims():
    """Return, by the name of an example, what pages say of it.

    That is a whole section of docs/experiments.md, and a paragraph elsewhere.
    """
    found = {}
    experiments = (DOCS / "experiments.md").read_text(encoding="utf-8")
    texts = experiments.split("\n## ")[1:]
    for page in sorted((DOCS / "course").glob("[!s]*.md")):  # not the table of statements
        texts += page.read_text(encoding="utf-8").split("\n\n")
    for text in texts:
        for name in NAMED.findall(text):
            found.setdefault(name, []).append(text)
    return found


CLAIMS = claims()


def numbers(text):
    """Return the numbers in a text, and one unit of the last digit of each."""
    for match in NUMBER.findall(text):
        digits, _, power = match.replace(",", "").partition("e")
        places = len(digits.partition(".")[2])
        yield float(match.replace(",", "")), 10.0 ** (int(power or 0) - places)


def test_pages_speak_of_examples():
    assert set(CLAIMS) <= {script.stem for script in EXAMPLES}
    assert {"signed_absolute_squared", "three_kinds_of_l1", "relu_mae_regression"} <= set(CLAIMS)


@pytest.mark.long
@pytest.mark.parametrize("script", EXAMPLES, ids=[script.stem for script in EXAMPLES])
def test_example_runs(script, tmp_path):
    for name in NEEDS.get(script.stem, ()):
        pytest.importorskip(name)
    output = printed(script, tmp_path)
    assert output
    drawn = bool(list(tmp_path.glob("*.svg")))
    assert drawn == (importlib.util.find_spec("matplotlib") is not None)
    code = script.read_text(encoding="utf-8")
    known = [number for number, _ in numbers(output + code)]
    known += [100 * number for number in known]  # shares, as percent
    for text in CLAIMS.get(script.stem, ()):
        prose = re.sub(r"```.*?```|`[^`]*`|\]\([^)]*\)", " ", text, flags=re.DOTALL)
        for number, unit in numbers(prose):
            # One unit in the last digit: training may differ in its last bits elsewhere.
            near = any(abs(number - each) <= unit * (1 + 1e-9) for each in known)
            assert near, f"{script.name} does not print {number:g}, of: {text[:200]}"


def test_pictures_of_the_text_exist_and_are_small():
    pages = [*DOCS.glob("*.md"), *DOCS.glob("course/*.md")]
    linked = {
        name for page in pages for name in re.findall(r"pictures/(\w+\.svg)\)", page.read_text())
    }
    pictures = {picture.name: picture for picture in (DOCS / "pictures").iterdir()}
    assert linked == set(pictures)
    assert all(picture.stat().st_size < 150_000 for picture in pictures.values())
