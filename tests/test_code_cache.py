"""Compiled code on disk that is damaged, gone, of others or in the way."""

import errno
import os
import shutil
import threading
import warnings
from types import SimpleNamespace

import numba
import pytest

from fastnn.kernels import code_cache
from fastnn.kernels.code_cache import CodeCache
from fastnn.kernels.numba_internals import set_cache


def double(x):
    return 2 * x


def triple(x):
    return 3 * x


INTEGER = (numba.int64,)
TARGET = numba.njit(double).targetctx
CODE = b"the compiled code"


@pytest.fixture(autouse=True)
def told(monkeypatch):
    """Let each test be a process that has not been told of anything, and compiles in no time."""
    monkeypatch.setattr(code_cache, "_told", set())
    monkeypatch.setattr(code_cache, "packed", lambda compiled: CODE)
    monkeypatch.setattr(code_cache, "unpacked", lambda content, _: content)


posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")


def start(folder, function=double, signature=INTEGER):
    """Return what a new process loads; without it, it compiles and stores."""
    cache = CodeCache(function, lambda: folder)
    loaded = cache.load_overload(signature, TARGET)
    if loaded is None:
        cache.save_overload(signature, SimpleNamespace(target_context=TARGET))
    return loaded


def only(folder):
    """Return the one file of a folder."""
    (path,) = folder.iterdir()
    return path


@pytest.fixture
def stored(tmp_path):
    """The file of `double` for integers, whole."""
    folder = tmp_path / "cache"
    assert start(folder) is None
    assert start(folder) == CODE
    return only(folder)


def test_what_is_compiled_is_loaded_and_run(tmp_path, monkeypatch):
    monkeypatch.undo()
    misses = []
    for _ in range(2):
        made = numba.njit(double)
        set_cache(made, CodeCache(double, lambda: tmp_path))
        assert made(3) == 6
        misses.append(sum(made.stats.cache_misses.values()))
    assert misses == [1, 0]


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


def a_pipe(path):
    path.unlink()
    os.mkfifo(path)


def a_device(path):
    path.unlink()
    path.symlink_to("/dev/zero")


def writable_by_others(path):
    path.chmod(0o666)


DAMAGES = [emptied, halved, lengthened, overwritten, a_directory]
if os.name != "nt":
    DAMAGES += [unreadable, a_pipe, a_device, writable_by_others]


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_damaged_is_compiled_again_and_written_again(stored, damage):
    damage(stored)
    with pytest.warns(RuntimeWarning, match=f"{stored.parent} is damaged .*compiled again"):
        assert start(stored.parent) is None
    assert start(stored.parent) == CODE
    assert only(stored.parent).suffix == ".nbc"


def test_every_flipped_bit_is_noticed(stored, monkeypatch):
    whole = stored.read_bytes()
    monkeypatch.setattr(code_cache, "_tell", lambda *_: None)
    cache = CodeCache(double, lambda: stored.parent)
    for place in range(8 * len(whole)):
        changed = bytearray(whole)
        changed[place // 8] ^= 1 << place % 8
        stored.write_bytes(changed)
        assert cache.load_overload(INTEGER, TARGET) is None
    stored.write_bytes(whole)
    assert cache.load_overload(INTEGER, TARGET) == CODE


@pytest.mark.parametrize(("function", "kind"), [(triple, numba.int64), (double, numba.float64)])
def test_code_of_another_function_or_type_is_not_run(stored, tmp_path, function, kind):
    """As after a rename, or a file system that mixes up its files."""
    assert start(tmp_path / "others", function, (kind,)) is None
    only(tmp_path / "others").replace(stored)
    with pytest.warns(RuntimeWarning, match="wrong checksum"):
        assert start(stored.parent) is None


def test_it_is_said_once(stored):
    for number in range(3):
        stored.write_bytes(b"")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            start(stored.parent)
        assert len(caught) == (number == 0)


def test_nobody_fails_for_it_where_warnings_are_errors(stored, capsys):
    stored.write_bytes(b"")
    assert start(stored.parent) is None
    assert f"the cache in {stored.parent} is damaged" in capsys.readouterr().err
    assert start(stored.parent) == CODE


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EDQUOT])
def test_a_full_disk_and_others_that_cannot_be_written(tmp_path, monkeypatch, number):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(code_cache.os, "replace", refuse)
    with pytest.warns(RuntimeWarning, match=f"{tmp_path} cannot be written .*FASTNN_CACHE_DIR"):
        assert start(tmp_path) is None
    assert not list(tmp_path.iterdir())


def test_a_file_where_the_directory_should_be(tmp_path):
    (tmp_path / "file").touch()
    with pytest.warns(RuntimeWarning, match="cannot be written"):
        assert start(tmp_path / "file" / "within") is None


def test_a_directory_with_files_in_a_files_place(stored):
    stored.unlink()
    (stored / "within").mkdir(parents=True)
    with (
        pytest.warns(RuntimeWarning, match="damaged"),
        pytest.warns(RuntimeWarning, match="cannot be written"),
    ):
        assert start(stored.parent) is None
    assert only(stored.parent) == stored and only(stored).name == "within"


def test_a_directory_removed_between_two_types(stored):
    shutil.rmtree(stored.parent)
    assert start(stored.parent, signature=(numba.float64,)) is None
    assert start(stored.parent, signature=(numba.float64,)) == CODE


def test_threads_that_write_the_same_file(tmp_path):
    threads = [threading.Thread(target=start, args=[tmp_path]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    start(tmp_path)  # each of them may have taken another's file for one that was left
    assert start(tmp_path) == CODE
    assert only(tmp_path).suffix == ".nbc"


def of_another_user(path):
    os.chown(path, 12345, -1)


def open_to_all(path):
    path.chmod(0o777)


def open_to_the_group(path):
    path.chmod(0o770)


def behind_a_link(path):
    """A private folder, to which others can redirect the way."""
    target, link = path.parent / "target", path / "link"
    path.rename(target)
    path.mkdir()
    link.symlink_to(target)
    path.chmod(0o777)
    return link


def a_link_to_it(path):
    link = path.parent / "link"
    link.symlink_to(path)
    path.chmod(0o777)
    return link


def a_sticky_folder_itself(path):
    path.chmod(0o1777)


EXPOSED = [open_to_all, open_to_the_group, behind_a_link, a_link_to_it]
EXPOSED += [of_another_user] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
PLACES = [(expose, "") for expose in (*EXPOSED, a_sticky_folder_itself)]
PLACES += [(expose, "within") for expose in EXPOSED]


@posix
@pytest.mark.parametrize(("expose", "within"), PLACES)
def test_where_others_can_write_nothing_is_read_or_written(tmp_path, expose, within):
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o700)
    assert start(folder / within) is None
    folder = (expose(folder) or folder) / within
    before = list(folder.iterdir())
    with pytest.warns(RuntimeWarning, match=r"not used .* and code lies there\).*FASTNN_CACHE_DIR"):
        assert start(folder) is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert start(folder, triple) is None  # said once
    assert list(folder.iterdir()) == before


@posix
def test_a_cache_within_a_sticky_folder_is_used(tmp_path):
    tmp_path.chmod(0o1777)
    assert start(tmp_path / "cache") is None
    assert start(tmp_path / "cache") == CODE


@posix
def test_a_circle_of_links_where_the_directory_should_be(tmp_path):
    (tmp_path / "one").symlink_to(tmp_path / "two")
    (tmp_path / "two").symlink_to(tmp_path / "one")
    with (
        pytest.warns(RuntimeWarning, match="damaged"),
        pytest.warns(RuntimeWarning, match="cannot be written"),
    ):
        assert start(tmp_path / "one" / "cache") is None


@posix
def test_what_is_written_is_private(tmp_path):
    before = os.umask(0)
    try:
        start(tmp_path / "a" / "b")
    finally:
        os.umask(before)
    modes = [path.stat().st_mode & 0o777 for path in sorted(tmp_path.rglob("*"))]
    assert modes == [0o700, 0o700, 0o600]
    assert start(tmp_path / "a" / "b") == CODE


def test_what_killed_processes_left_of_a_file_goes_when_it_is_written(stored):
    left = stored.with_name(f"{stored.name}.0123456789abcdef.tmp")
    stored.rename(left)
    assert start(stored.parent) is None
    assert only(stored.parent) == stored


def test_a_temporary_file_that_another_process_took_for_left(tmp_path, monkeypatch):
    def taken(*paths):
        raise FileNotFoundError

    monkeypatch.setattr(code_cache.os, "replace", taken)
    assert start(tmp_path) is None
    assert not list(tmp_path.iterdir())
