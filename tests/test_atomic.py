"""Files are written whole or not at all, whoever they belong to and whatever stops the writer."""

import errno
import os
import stat
import sys
import threading

import pytest

from fastnn import Dense, Network
from fastnn.files import atomic
from fastnn.files.atomic import whole_file

posix = pytest.mark.skipif(os.name != "posix", reason="files of POSIX systems")
STALE = ".model.0123456789abcdef.tmp"


def write(path, content=b"new"):
    with whole_file(path) as file:
        file.write(content)


@pytest.mark.parametrize("function", ["fsync", "replace"])
@pytest.mark.parametrize("kind", [KeyboardInterrupt, OSError])
def test_a_failed_write_leaves_the_old_file(function, kind, tmp_path, monkeypatch):
    path = tmp_path / "model"
    path.write_text("old")

    def fail(*arguments):
        raise kind(5, "Input/output error")

    monkeypatch.setattr(atomic.os, function, fail)
    with pytest.raises(kind):
        write(path)
    assert os.listdir(tmp_path) == ["model"] and path.read_text() == "old"


def test_a_block_that_raises_leaves_the_old_file(tmp_path):
    path = tmp_path / "model"
    path.write_text("old")
    with pytest.raises(FileNotFoundError, match="another"), whole_file(path) as file:
        file.write(b"half")
        (tmp_path / "another").read_text()  # an error of its own keeps its name
    assert os.listdir(tmp_path) == ["model"] and path.read_text() == "old"


def _fails(path, error, *parts):
    """Check that a write, and a network's, fail with an error that names the path as given."""
    network = Network([Dense(1)])
    network.build(1)
    for attempt in (write, network.save):
        with pytest.raises(error) as caught:
            attempt(path)
        assert caught.value.filename == os.fspath(path), caught.value
        for part in parts:
            assert str(part) in str(caught.value)
        assert ".tmp" not in str(caught.value)


def test_errors_name_the_path_that_was_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    _fails("nowhere/deeper/model", FileNotFoundError, "There is no folder 'nowhere/deeper'")
    _fails(tmp_path / "nowhere" / "model", FileNotFoundError, f"no folder '{tmp_path}/nowhere'")
    _fails("", FileNotFoundError)
    _fails("nowhere/", FileNotFoundError)
    _fails("folder", IsADirectoryError)
    _fails("folder/", IsADirectoryError)
    _fails("file/model", NotADirectoryError)
    _fails("m" * 256, OSError, "File name too long")
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]


@posix
def test_errors_of_links_name_the_link(tmp_path):
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere" / "model")
    _fails(tmp_path / "circle", OSError, "symbolic links")
    _fails(tmp_path / "dangling", FileNotFoundError, f"no folder '{tmp_path}/nowhere'")
    assert (tmp_path / "circle").is_symlink() and (tmp_path / "dangling").is_symlink()


@posix
def test_a_full_disk_and_a_folder_that_cannot_be_written(tmp_path, monkeypatch):
    import resource

    path = tmp_path / "model"
    path.write_text("old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2, hard))  # as a full disk, without filling one
    try:
        _fails(path, OSError, "File too large")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    def refuse(name, mode):  # the superuser may write everywhere
        raise PermissionError(errno.EACCES, "Permission denied", name)

    monkeypatch.setattr(atomic, "open", refuse, raising=False)
    _fails(path, PermissionError)
    monkeypatch.setattr(atomic.os, "access", lambda *_: False)
    _fails(path, PermissionError)
    assert os.listdir(tmp_path) == ["model"] and path.read_text() == "old"


@posix
def test_permissions_follow_the_umask_and_then_the_file(tmp_path):
    for mask in (0o022, 0o077):
        path = tmp_path / f"{mask}"
        before = os.umask(mask)
        try:
            write(path)
            assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask
            for mode in (0o600, 0o664, 0o640):
                path.chmod(mode)
                write(path)
                assert stat.S_IMODE(path.stat().st_mode) == mode
        finally:
            os.umask(before)


@posix
def test_a_link_stays_a_link_and_a_device_a_device(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder" / "model")
    for _ in range(2):  # new, then replaced
        write(tmp_path / "link")
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "folder" / "model").read_bytes() == b"new"
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write(tmp_path / "pipe")
    assert os.read(reader, 10) == b"new"
    os.close(reader)
    write(os.devnull)
    assert not os.path.isfile(os.devnull)
    assert sorted(os.listdir(tmp_path)) == ["folder", "link", "pipe"]


@pytest.mark.parametrize("name", ["m" * 255, "名" * 85, ".", "a.b", "[a]*"], ids=range(5))
def test_names(name, tmp_path):
    path = tmp_path / f"{name}x"[-255:] if name.isascii() else tmp_path / name
    (tmp_path / STALE).write_text("of another file")
    for _ in range(2):
        write(path)
        assert path.read_bytes() == b"new"
        assert sorted(os.listdir(tmp_path)) == sorted([path.name, STALE])


@posix
@pytest.mark.skipif(sys.platform == "win32", reason="Windows replaces the name alone")
def test_a_file_with_two_names_keeps_both(tmp_path, monkeypatch):
    path, other = tmp_path / "file", tmp_path / "other"
    path.write_bytes(b"old and long")
    os.link(path, other)
    for contents in (b"new", b"longer than what was there before"):
        with whole_file(path) as file:
            file.write(contents)
        assert path.read_bytes() == other.read_bytes() == contents
        assert path.samefile(other)
    with pytest.raises(KeyError), whole_file(path) as file:
        file.write(b"half")
        raise KeyError

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if sys.platform == "linux":
        monkeypatch.setattr(os, "posix_fallocate", full)
        with pytest.raises(OSError, match="No space left"), whole_file(path) as file:
            file.write(b"too much")
    assert path.read_bytes() == other.read_bytes() == contents
    assert sorted(os.listdir(tmp_path)) == ["file", "other"]


def test_what_killed_writers_left_is_removed_and_what_others_write_is_not(tmp_path):
    import fcntl

    for name in (STALE, ".model.fedcba9876543210.tmp"):
        (tmp_path / name).write_text("half a fi")
    others = [".model.tmp", ".models.0123456789abcdef.tmp", ".model.0123456789ABCDEF.tmp"]
    for name in others:
        (tmp_path / name).write_text("")
    alive = ".model.00000000ffffffff.tmp"
    with open(tmp_path / alive, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        write(tmp_path / "model")
        assert sorted(os.listdir(tmp_path)) == sorted(["model", alive, *others])
    write(tmp_path / "model")
    assert sorted(os.listdir(tmp_path)) == sorted(["model", *others])


@posix
def test_a_file_that_is_swept_too_early_is_made_again(tmp_path, monkeypatch):
    lock, calls = atomic.fcntl.flock, []

    def locked(file, how):
        calls.append(file.name)
        if len(calls) == 1:  # another writer has the lock, and removes the file
            os.unlink(file.name)
            raise BlockingIOError
        if len(calls) == 2:  # it did so before we got the lock
            os.unlink(file.name)
        lock(file, how)

    monkeypatch.setattr(atomic.fcntl, "flock", locked)
    write(tmp_path / "model")
    assert os.listdir(tmp_path) == ["model"] and len(set(calls)) == 3


@posix
def test_a_file_system_without_locks(tmp_path, monkeypatch):
    def flock(file, how):
        raise OSError(errno.ENOLCK, "No locks available")

    (tmp_path / STALE).write_text("perhaps somebody writes this")
    monkeypatch.setattr(atomic.fcntl, "flock", flock)
    write(tmp_path / "model")
    assert sorted(os.listdir(tmp_path)) == [STALE, "model"]


def test_many_writers_of_one_file(tmp_path):
    path, contents = tmp_path / "model", [bytes([number]) * 1000 for number in range(4)]
    found = []

    def job(content):
        for _ in range(20):
            write(path, content)
            found.append(path.read_bytes())

    threads = [threading.Thread(target=job, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 80 and set(found) <= set(contents)
    assert os.listdir(tmp_path) == ["model"]


def test_windows(tmp_path, monkeypatch):
    """There, a file that is open cannot be removed, nor renamed: age says what is abandoned."""
    monkeypatch.setattr(sys, "platform", "win32")
    old, fresh = tmp_path / STALE, tmp_path / ".model.fedcba9876543210.tmp"
    for path in (old, fresh):
        path.write_text("")
    os.utime(old, (0, 0))
    write(tmp_path / "model")
    assert sorted(os.listdir(tmp_path)) == [fresh.name, "model"]
