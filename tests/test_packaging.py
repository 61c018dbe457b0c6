"""What is published: one version everywhere, and a wheel and an sdist with all that they need."""

import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

import fastnn

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_version_is_the_same_everywhere():
    assert PROJECT["dynamic"] == ["version"] and "version" not in PROJECT
    for file in ("CITATION.cff", "recipe/recipe.yaml"):
        text = (ROOT / file).read_text(encoding="utf-8")
        assert re.findall(r'^ *version: "?(\d[^"\n]*)', text, re.M) == [fastnn.__version__], file
    assert (ROOT / "docs" / "releases" / f"{fastnn.__version__}.md").is_file()


def test_the_recipe_wants_what_the_package_wants():
    text = (ROOT / "recipe" / "recipe.yaml").read_text(encoding="utf-8")
    run = text.split("  run:\n")[1].split("\n\n")[0]
    found = sorted(line.strip(" -").replace(" ", "") for line in run.splitlines())
    assert found == sorted([*PROJECT["dependencies"], f"python{PROJECT['requires-python']}"])


def test_license_and_keywords_are_cited():
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nlicense: {PROJECT['license']}\n" in text
    assert re.findall(r"^  - (?!name)(.+)$", text, re.M) == PROJECT["keywords"]


def tracked():
    """Return the files of the checkout, or of the sdist that this is."""
    found = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if found.returncode or not found.stdout:
        pytest.skip("not a checkout")
    return {name for name in found.stdout.splitlines() if (ROOT / name).is_file()}


def test_wheel_and_sdist_hold_what_they_should(tmp_path):
    pytest.importorskip("hatchling")
    build = [sys.executable, "-m", "hatchling", "build", "-d", str(tmp_path)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    name = f"fastnn_kernels-{fastnn.__version__}"
    wheel = zipfile.ZipFile(tmp_path / f"{name}-py3-none-any.whl")
    files, info = tracked(), f"{name}.dist-info/"
    held = {each for each in wheel.namelist() if not each.startswith(info)}
    assert held == {each for each in files if each.startswith("fastnn/")}
    assert {"fastnn/py.typed", "fastnn/data/digits.csv.gz"} <= held
    assert f"{info}licenses/LICENSE" in wheel.namelist()
    assert f"\nVersion: {fastnn.__version__}\n" in wheel.read(f"{info}METADATA").decode()
    with tarfile.open(tmp_path / f"{name}.tar.gz") as sdist:
        sources = {each.removeprefix(f"{name}/") for each in sdist.getnames()}
    assert sources == files | {"PKG-INFO"}
