"""Compiled code on disk that is damaged, gone, of others or in the way."""

import errno
import os
import shutil
import threading
import warnings

import numba
import numpy as np
import pytest

from fastnn.kernels import code_cache
from fastnn.kernels.code_cache import CodeCache
from fastnn.kernels.numba_internals import set_cache


def double(x):
    return 2 * x


def triple(x):
    return 3 * x


@pytest.fixture(autouse=True)
def told(monkeypatch):
    """Let each test be a process that has not been told of anything."""
    found = set()
    monkeypatch.setattr(code_cache, "_told", found)
    return found


def called(function, folder, *arguments):
    """Return what a function gives in a new process, and whether it had to be compiled."""
    made = numba.njit(function)
    set_cache(made, CodeCache(function, lambda: folder))
    found = [made(argument) for argument in arguments]
    return found, sum(made.stats.cache_misses.values())


def only(folder):
    """Return the one file of a folder."""
    (path,) = folder.iterdir()
    return path


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """The file of `double` for integers, whole."""
    folder = tmp_path_factory.mktemp("stored")
    assert called(double, folder, 3) == ([6], 1)
    assert called(double, folder, 3) == ([6], 0)
    return only(folder)


def emptied(path):
    path.write_bytes(b"")


def halved(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def lengthened(path):
    path.write_bytes(path.read_bytes() + b"\0")


def overwritten(path):
    path.write_bytes(bytes(path.stat().st_size))


def a_directory(path):
    path.unlink()
    path.mkdir()


def unreadable(path):
    path.unlink()
    path.symlink_to(path.name)  # to itself: nobody can open it, not even the superuser


@pytest.mark.parametrize(
    "damage", [emptied, halved, lengthened, overwritten, a_directory, unreadable]
)
def test_what_is_damaged_is_compiled_again_and_written_again(stored, tmp_path, damage):
    path = tmp_path / "cache" / stored.name
    path.parent.mkdir()
    shutil.copy(stored, path)
    damage(path)
    with pytest.warns(RuntimeWarning, match=f"{path.parent} is damaged .*compiled again"):
        assert called(double, path.parent, 3) == ([6], 1)
    assert called(double, path.parent, 3) == ([6], 0)
    assert not list(path.parent.glob("*.tmp"))


def test_every_flipped_bit_is_noticed(stored, monkeypatch):
    whole, rng = stored.read_bytes(), np.random.default_rng(0)
    loaded = []
    monkeypatch.setattr(code_cache, "unpacked", lambda content, _: loaded.append(content))
    monkeypatch.setattr(code_cache, "_tell", lambda *_: None)
    cache = CodeCache(double, lambda: stored.parent)
    target = numba.njit(double).targetctx
    for place in [*range(40), *rng.integers(0, len(whole), 200)]:
        changed = bytearray(whole)
        changed[place] ^= 1 << int(rng.integers(8))
        stored.write_bytes(changed)
        assert cache.load_overload((numba.int64,), target) is None
    assert not loaded
    stored.write_bytes(whole)
    cache.load_overload((numba.int64,), target)
    assert loaded == [whole[16:]]


def test_code_of_another_function_or_type_is_not_run(tmp_path):
    """As after a rename, or a file system that mixes up its files."""
    ours, others = tmp_path / "ours", tmp_path / "others"
    assert called(double, ours, 3) == ([6], 1)
    assert called(triple, others, 3) == ([9], 1)
    only(others).replace(only(ours))
    with pytest.warns(RuntimeWarning, match="wrong checksum"):
        assert called(double, ours, 3) == ([6], 1)


def test_it_is_said_once(stored, tmp_path):
    path = tmp_path / stored.name
    for number in range(3):
        path.write_bytes(b"")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            called(double, tmp_path, 3)
        assert len(caught) == (number == 0)


def test_nobody_fails_for_it_where_warnings_are_errors(stored, tmp_path, capsys):
    (tmp_path / stored.name).write_bytes(b"")
    assert called(double, tmp_path, 3) == ([6], 1)
    assert f"the cache in {tmp_path} is damaged" in capsys.readouterr().err
    assert called(double, tmp_path, 3) == ([6], 0)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EDQUOT])
def test_a_full_disk_and_others_that_cannot_be_written(tmp_path, monkeypatch, number):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(code_cache.os, "replace", refuse)
    with pytest.warns(RuntimeWarning, match=f"{tmp_path} cannot be written .*FASTNN_CACHE_DIR"):
        assert called(double, tmp_path, 3) == ([6], 1)
    assert not list(tmp_path.iterdir())


def test_a_file_where_the_directory_should_be(tmp_path):
    (tmp_path / "file").touch()
    with pytest.warns(RuntimeWarning, match="cannot be written"):
        assert called(double, tmp_path / "file" / "within", 3) == ([6], 1)


def test_a_directory_removed_between_two_types(tmp_path):
    folder = tmp_path / "cache"
    made = numba.njit(double)
    set_cache(made, CodeCache(double, lambda: folder))
    assert made(3) == 6
    shutil.rmtree(folder)
    assert made(0.5) == 1.0
    assert called(double, folder, 0.5) == ([1.0], 0)


def test_threads_that_write_the_same_file(tmp_path):
    results = []
    threads = [
        threading.Thread(target=lambda: results.append(called(double, tmp_path, 3)[0]))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [[6]] * 4
    assert called(double, tmp_path, 3) == ([6], 0)
    assert only(tmp_path).suffix == ".nbc"
