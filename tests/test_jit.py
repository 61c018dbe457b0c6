"""Where compiled code is cached."""

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numba
import pytest

import fastnn
from fastnn.engine import products
from fastnn.kernels import jit

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


@pytest.fixture
def placed(tmp_path, monkeypatch):
    """Return what says where the cache is in a process with such variables."""
    monkeypatch.chdir(tmp_path)
    for name in ("FASTNN_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)

    def directory(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, str(value))
        return jit.cache_directory.__wrapped__().parent

    return directory


def test_the_cache_stays_where_it_is_when_the_process_moves(placed, tmp_path):
    assert placed(FASTNN_CACHE_DIR="here", XDG_CACHE_HOME="there") == tmp_path / "here"


def test_a_tilde_is_the_home(placed, tmp_path):
    assert placed(FASTNN_CACHE_DIR="~/here", HOME=tmp_path / "h") == tmp_path / "h" / "here"


@pytest.mark.parametrize("name", ["OPT", "BOUNDSCHECK", "DEBUGINFO_DEFAULT", "USING_SVML"])
def test_other_settings_of_numba_have_a_cache_of_their_own(name, monkeypatch):
    before = jit.cache_directory.__wrapped__()
    monkeypatch.setattr(numba.config, name, "another")
    assert jit.cache_directory.__wrapped__() != before


def test_without_the_compiler_there_is_one_clear_error(monkeypatch):
    # Which the first name of fastnn that needs kernels raises, where the first of them is made.
    monkeypatch.setattr(numba.config, "DISABLE_JIT", 1)
    for make in (jit.njit, jit.inlined):
        with pytest.raises(RuntimeError, match="NUMBA_DISABLE_JIT is set.*unset it"):
            make(lambda x: x)
    with pytest.raises(TypeError, match="forward is a function, .*unset NUMBA_DISABLE_JIT"):
        fastnn.activations.Custom(lambda x: x, lambda x, y: 1.0)


def test_empty_variables_count_as_unset(placed, tmp_path):
    assert placed(FASTNN_CACHE_DIR="", XDG_CACHE_HOME=tmp_path / "x") == tmp_path / "x" / "fastnn"
    assert placed(XDG_CACHE_HOME="relative", HOME=tmp_path / "h") == tmp_path / "h/.cache/fastnn"
    assert placed(XDG_CACHE_HOME="", HOME=tmp_path / "h") == tmp_path / "h" / ".cache" / "fastnn"


def test_without_a_home_the_cache_goes_when_the_process_ends(placed, tmp_path, monkeypatch):
    at_exit = []
    monkeypatch.setattr(jit.atexit, "register", lambda *call, **how: at_exit.append((call, how)))
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert placed().parent == tmp_path and placed().is_dir()
    for (remove, *arguments), how in at_exit:
        remove(*arguments, **how)
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    with pytest.raises(OSError):
        placed().mkdir(parents=True)


def test_a_handler_that_is_not_pythons_stays(monkeypatch):
    monkeypatch.setattr(signal, "getsignal", lambda _: None)
    monkeypatch.setattr(signal, "signal", lambda *_: pytest.fail("changed"))
    with jit.uninterrupted():
        pass


@pytest.mark.parametrize(
    ("executable", "command"),
    [(sys.executable, "raise SystemExit(1)"), ("/nowhere", "pass")],
    ids=["fails", "cannot start"],
)
def test_products_are_compiled_here_if_not_elsewhere(executable, command, monkeypatch):
    compiled, started = [], []
    popen = subprocess.Popen
    monkeypatch.setattr(products, "gemm_is_lacking", lambda _: True)
    monkeypatch.setattr(products, "compile_gemm", compiled.append)
    monkeypatch.setattr(products, "_COMMAND", command)
    monkeypatch.setattr(products.cores, "unused", lambda: 2)
    monkeypatch.setattr(products.sys, "executable", executable)
    monkeypatch.setattr(
        products.subprocess, "Popen", lambda *args, **how: started.append(1) or popen(*args, **how)
    )
    with products.compiled_apart("float32"):
        assert compiled == [] and started == [1]
    assert compiled == ["float32"]
