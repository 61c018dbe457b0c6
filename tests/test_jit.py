"""Where compiled code is cached."""

import importlib.util
import shutil
from pathlib import Path

import pytest

import fastnn

PACKAGE = Path(fastnn.__file__).parent


@pytest.mark.parametrize(
    "path", ["kernels/jit.py", "kernels/gemm/tiles.py", "engine/steps.py"], ids=str
)
def test_an_edit_of_compiled_code_starts_a_fresh_cache(path, tmp_path):
    for folder in ("kernels", "engine"):
        shutil.copytree(PACKAGE / folder, tmp_path / folder)

    def directory():
        spec = importlib.util.spec_from_file_location("copied_jit", tmp_path / "kernels/jit.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module.cache_directory()

    before = directory()
    assert directory() == before
    with (tmp_path / path).open("a") as file:
        file.write("# changed\n")
    assert directory() != before
