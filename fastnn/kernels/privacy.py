"""Who can change what lies in a folder: code is taken only from where other users cannot put it."""

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path


def exposure(folder: Path) -> str:
    """Return how other users could change what a process finds in a folder, or "" if they cannot.

    They can if they own it or may write to it, and likewise for each folder and link on the way.
    On the way alone, a sticky folder such as ``/tmp`` is as good as a private one: nobody renames
    there what is not theirs.  What is missing is no danger; whoever makes it keeps it private.

    Examples
    --------
    >>> import os, tempfile
    >>> from pathlib import Path
    >>> folder = Path(tempfile.mkdtemp())
    >>> exposure(folder)
    ''
    >>> if os.name == "posix":
    ...     folder.chmod(0o777)
    ...     assert exposure(folder) == f"other users may write to {folder}"
    """
    if sys.platform == "win32":  # whose folders have no such bits
        return ""
    try:
        for place, found in _way(str(folder)):
            if problem := exposed_owner(found):
                return f"{place} {problem}"
            if stat.S_ISDIR(found.st_mode) and found.st_mode & 0o022:
                on_the_way = os.path.realpath(place) != os.path.realpath(folder)
                if not (on_the_way and found.st_mode & stat.S_ISVTX):
                    return f"other users may write to {place}"
    except OSError:  # the rest does not exist
        pass
    return ""


def exposed_owner(found: os.stat_result) -> str:
    """Return that something belongs to another user than this one or the system's, or ""."""
    if sys.platform == "win32" or found.st_uid in (os.geteuid(), 0):
        return ""
    if found.st_uid == os.stat("/").st_uid:  # in a container, where the system's user has a number
        return ""
    return f"belongs to another user (number {found.st_uid})"


def _way(path: str) -> Iterator[tuple[str, os.stat_result]]:
    """Yield each folder and link that the system passes on its way to `path`."""
    here = os.path.sep
    yield here, os.lstat(here)
    for part in filter(None, path.split(os.path.sep)):
        folder, here = here, os.path.join(here, part)
        found = os.lstat(here)
        yield here, found
        if stat.S_ISLNK(found.st_mode):
            os.stat(here)  # raises for a circle of links
            yield from _way(os.path.join(folder, os.readlink(here)))
