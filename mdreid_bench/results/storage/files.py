"""Opens files that somebody else may have put there: links are not written through, nothing waits, all ends."""

import errno
import fcntl
import os
import stat
from contextlib import suppress
from io import BufferedReader, FileIO
from pathlib import Path

SMALL = 4 << 20
"""Largest description that is read whole: a record, a configuration, the facts of a run."""

_UNSUPPORTED = frozenset({errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})
_held: set[int] = set()


def open_regular(path: Path) -> BufferedReader:
    """Open a file for reading; links are followed.

    Raises:
        FileNotFoundError: when it is not there.
        OSError: when it cannot be opened, or is a device, a pipe or a folder, which might never end.
    """
    return BufferedReader(FileIO(_open(path, os.O_RDONLY)))


def read_regular(path: Path, limit: int = SMALL) -> bytes:
    """Return what a file holds, which may be ``limit`` bytes at most.

    Raises:
        FileNotFoundError: when it is not there.
        OSError: when it cannot be read, is no regular file, or is larger.
    """
    with open_regular(path) as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise OSError(errno.EFBIG, f"larger than {limit >> 20} MiB", str(path))
    return content


def open_own(path: Path, flags: int) -> int:
    """Open a file of ours to write to it, and return its descriptor; it is made where it is absent.

    The last part of the path is never followed when it is a link; ``flags`` are such as ``os.O_RDWR``.

    Raises:
        OSError: when the file system refuses, or something else than a file of ours is in its place.
    """
    try:
        return _open(path, flags | os.O_CREAT | os.O_NOFOLLOW)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, "it is a link, which is not followed", str(path)) from None
        raise


def hold(descriptor: int) -> bool:
    """Lock an open file or folder until :func:`let_go`; return False where the file system has no locks.

    The system lets go when this process ends, however it ends; processes that it forks do not keep the lock.

    Raises:
        BlockingIOError: when somebody else has it.
        OSError: when the file system fails.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _UNSUPPORTED:
            return False
        raise
    _held.add(descriptor)
    return True


def let_go(descriptor: int) -> None:
    """Close an open file, and with it end the lock."""
    _held.discard(descriptor)
    with suppress(OSError):
        os.close(descriptor)


def is_at(descriptor: int, path: Path) -> bool:
    """Tell whether an open file is still the one at a path."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


def _open(path: Path, flags: int) -> int:
    # Without O_NONBLOCK, opening a pipe would wait for somebody at its other end.
    descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return descriptor


def _forget_in_child() -> None:
    """Close inherited locks: a forked loader process must not keep them when its parent is killed."""
    for descriptor in _held:
        with suppress(OSError):
            os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_forget_in_child)
