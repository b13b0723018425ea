"""One process at a time: locks on what is being trained, extracted or scored.

The operating system holds the lock (``flock``) and lets go of it when its owner ends, however it ends. The file tells
who the owner is; one that is left behind by a killed process is stale, and the next process takes it over.
"""

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from mdreid_bench.errors import DataError
from mdreid_bench.progress import Reporter
from mdreid_bench.results.schema import Line
from mdreid_bench.results.storage.atomic import make_folder
from mdreid_bench.results.storage.host import host_name, process_start

_UNSUPPORTED = frozenset({errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})
_SHORTEST_WAIT, _LONGEST_WAIT = 0.05, 1.0
_held: set[int] = set()


class Owner(BaseModel):
    """Who holds a lock, as its file says."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    host: Line
    pid: int
    started: int | None
    since: Line

    @classmethod
    def this_process(cls) -> "Owner":
        """Describe this process, now."""
        now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        return cls(host=host_name(), pid=os.getpid(), started=process_start(os.getpid()), since=now)

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since}"


@dataclass(frozen=True)
class Held:
    """A lock that is held.

    Attributes:
        descriptor: of the open file; None where the file system has no locks.
        previous: the owner that ended without letting go, if one did.
    """

    descriptor: int | None
    previous: Owner | None


@contextmanager
def attempt(path: Path) -> Iterator[Held | None]:
    """Lock ``path`` for the block if nobody else has it; else yield None.

    A lock cannot be taken twice, not even by the same process. Its file is made with its folders, and removed at the
    end.

    Raises:
        DataError: when the file cannot be written.
    """
    held = _take(path)
    try:
        yield held
    finally:
        if held is not None and held.descriptor is not None:
            _let_go(path, held.descriptor)


@contextmanager
def locked(path: Path, what: str, reporter: Reporter) -> Iterator[None]:
    """Lock ``path`` for the block, waiting for others as long as it takes.

    Args:
        path: file of the lock.
        what: the work that it guards, for messages.
        reporter: told once whom we wait for, and whose unfinished work is taken over.

    Raises:
        DataError: when the file cannot be written.
    """
    wait, told = _SHORTEST_WAIT, False
    while True:
        with attempt(path) as held:
            if held is not None:
                if held.previous is not None:
                    reporter.message(f"Taking over {what} from {held.previous}, which ended before it was done.")
                yield
                return
        if not told:
            reporter.message(f"Waiting for {what}: {owner_of(path) or 'another process'} is at it.")
            told = True
        time.sleep(wait)
        wait = min(2 * wait, _LONGEST_WAIT)


def in_use(path: Path) -> bool:
    """Tell whether somebody holds a lock at this moment.

    Raises:
        DataError: when the file is there and cannot be opened.
    """
    if not path.exists():
        return False
    with attempt(path) as held:
        return held is None


def owner_of(path: Path) -> Owner | None:
    """Return who a lock file says its owner is, or None when it does not say."""
    try:
        return Owner.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def _take(path: Path) -> Held | None:
    try:
        make_folder(path.parent)
        while True:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                if not _flock(descriptor):
                    os.close(descriptor)
                    return Held(None, None)
            except BlockingIOError:
                os.close(descriptor)
                return None
            if _is_at(descriptor, path):
                break
            os.close(descriptor)  # its last owner removed it while we were waiting
    except OSError as error:
        raise DataError(f"Cannot lock {path} ({error.strerror}); choose a folder that can be written.") from error
    _held.add(descriptor)
    previous = owner_of(path)
    with suppress(OSError):  # on a full disk the lock still holds; only its messages cannot name the owner
        os.ftruncate(descriptor, 0)
        os.write(descriptor, Owner.this_process().model_dump_json().encode())
    return Held(descriptor, previous)


def _flock(descriptor: int) -> bool:
    """Lock an open file; return False where the file system cannot.

    Raises:
        BlockingIOError: when somebody else has it.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _UNSUPPORTED:
            return False
        raise
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _let_go(path: Path, descriptor: int) -> None:
    _held.discard(descriptor)
    with suppress(OSError):
        path.unlink()
    with suppress(OSError):
        os.close(descriptor)


def _forget_in_child() -> None:
    """Close inherited locks: a forked loader process must not keep them when its parent is killed."""
    for descriptor in _held:
        with suppress(OSError):
            os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_forget_in_child)
