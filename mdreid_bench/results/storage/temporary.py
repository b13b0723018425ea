"""Temporary files and folders: who writes one holds a lock on it, so that what a killed process left can be told."""

import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from mdreid_bench.results.storage.files import hold, is_at, let_go, open_own

_FORGOTTEN_SECONDS = 24 * 3600
_HELD: set[tuple[int, Path]] = set()
"""What is in use, with the process that made it; a process that was forked from it must leave it alone."""
_NAME = re.compile(r"\..+\.(?P<boot>[A-Za-z0-9-]+(\.[0-9]+)?)-[0-9a-f]{8,16}\.tmp")


@contextmanager
def temporary_beside(path: Path, *, folder: bool = False) -> Iterator[Path]:
    """Make a hidden file or folder beside ``path``, hold it for the block, and remove it unless it was moved.

    Its name tells the start of the machine's system and is drawn at random besides, so that two containers with one
    host name and process numbers of their own cannot mistake it for theirs.

    Raises:
        OSError: when the file system refuses.
    """
    temporary, descriptor = path.parent / f".{path.name}.{_boot()}-{secrets.token_hex(8)}.tmp", -1
    held = os.getpid(), temporary
    try:  # from here on, because a signal may come at any moment
        _HELD.add(held)
        descriptor = _make(temporary, folder)
        yield temporary
    finally:
        _remove(temporary)
        _HELD.discard(held)
        let_go(descriptor)


def remove_held() -> None:
    """Remove what this process holds, because it ends at once."""
    for process, path in tuple(_HELD):
        if process == os.getpid():
            _remove(path)


def clear(folder: Path) -> list[Path]:
    """Remove temporary files and folders directly in ``folder`` that nobody holds, and return them.

    Those of another machine, or of this one before it started anew, are kept for a day after they were last touched,
    because not every shared file system tells other machines who holds a file. What cannot be removed stays.
    """
    try:
        entries = sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))
    except OSError:
        return []
    return [path for path in entries if _clear(path)]


def _make(temporary: Path, folder: bool) -> int:
    while True:
        if folder:
            temporary.mkdir()
            descriptor = os.open(temporary, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        else:
            descriptor = open_own(temporary, os.O_RDWR | os.O_EXCL)
        with suppress(BlockingIOError):  # somebody is clearing up between these two lines
            hold(descriptor)
            if is_at(descriptor, temporary):
                return descriptor
        let_go(descriptor)


def _clear(path: Path) -> bool:
    match = _NAME.fullmatch(path.name)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        ours = hold(descriptor) and match is not None and match["boot"] == _boot()
        if not ours and time.time() - os.fstat(descriptor).st_mtime <= _FORGOTTEN_SECONDS:
            return False
        _remove(path)
        return True
    except OSError:
        return False
    finally:
        let_go(descriptor)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)


@cache
def _boot() -> str:
    """Return eight digits that all processes of this system share until it is started anew, and no others."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")[:8]
    except (OSError, ValueError):
        return secrets.token_hex(4)
