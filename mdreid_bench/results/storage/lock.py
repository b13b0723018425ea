"""One process at a time: locks on what is being trained, extracted or scored.

The operating system holds the lock (``flock``) and lets go of it when its owner ends, however it ends. The file tells
who the owner is; one that is left behind by a killed process is stale, and the next process takes it over.
"""

import os
import platform
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from mdreid_bench.errors import DataError
from mdreid_bench.progress import Reporter
from mdreid_bench.results.storage.atomic import make_folder
from mdreid_bench.results.storage.files import hold, is_at, let_go, open_own, read_regular
from mdreid_bench.results.stored_part import Line

_SHORTEST_WAIT, _LONGEST_WAIT = 0.05, 1.0
_OWNER_BYTES, _LONGEST_NAME = 4096, 40


class Owner(BaseModel):
    """Who holds a lock, as its file says."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    host: Line
    pid: int
    since: Line

    @classmethod
    def this_process(cls) -> "Owner":
        """Describe this process, now."""
        now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        return cls(host=host_name(), pid=os.getpid(), since=now)

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
            with suppress(OSError):
                path.unlink()
            let_go(held.descriptor)


@contextmanager
def locked(path: Path, what: str, reporter: Reporter) -> Iterator[None]:
    """Lock ``path`` for the block, waiting for others as long as it takes.

    The reporter is told once whom we wait for, and whose unfinished work is taken over; ``what`` names the work.

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
    if not os.path.lexists(path):
        return False
    with attempt(path) as held:
        return held is None


def owner_of(path: Path) -> Owner | None:
    """Return who a lock file says its owner is, or None when it does not say."""
    try:
        return Owner.model_validate_json(read_regular(path, _OWNER_BYTES))
    except (OSError, ValidationError):
        return None


def _take(path: Path) -> Held | None:
    try:
        make_folder(path.parent)
        while True:
            descriptor = open_own(path, os.O_RDWR)
            try:
                if not hold(descriptor):
                    let_go(descriptor)
                    return Held(None, None)
            except BlockingIOError:
                let_go(descriptor)
                return None
            if is_at(descriptor, path):
                break
            let_go(descriptor)  # its last owner removed it while we were waiting
    except OSError as error:
        raise DataError(f"Cannot lock {path} ({error.strerror}); choose a folder that can be written.") from error
    previous = owner_of(path)
    with suppress(OSError):  # on a full disk the lock still holds; only its messages cannot name the owner
        os.ftruncate(descriptor, 0)
        os.write(descriptor, Owner.this_process().model_dump_json().encode())
    return Held(descriptor, previous)


@cache
def host_name() -> str:
    """Return the name of this machine as letters, digits and hyphens."""
    return re.sub(r"[^A-Za-z0-9-]+", "-", platform.node())[:_LONGEST_NAME].strip("-") or "unnamed"
