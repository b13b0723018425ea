"""Temporary files and folders: how they are named, and which of them a killed process left behind."""

import os
import re
import secrets
import shutil
import time
from contextlib import suppress
from pathlib import Path

from mdreid_bench.results.storage.host import host_name, is_running

_FORGOTTEN_SECONDS = 24 * 3600
_NAME = re.compile(r"\..+\.(?P<host>[A-Za-z0-9-]+)\.(?P<pid>[0-9]{1,19})-[0-9a-f]{8}\.tmp")


def temporary_beside(path: Path) -> Path:
    """Return a hidden name beside ``path`` that tells host and process, so that it can be cleared away."""
    return path.parent / f".{path.name}.{host_name()}.{os.getpid()}-{secrets.token_hex(4)}.tmp"


def clear(folder: Path) -> list[Path]:
    """Remove temporary files and folders directly in ``folder`` whose process is gone, and return them.

    Those of other machines are removed a day after they were last touched. What cannot be removed stays.
    """
    try:
        entries = [path for path in folder.iterdir() if _is_leftover(path)]
    except OSError:
        return []
    for path in entries:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):
                path.unlink()
    return entries


def _is_leftover(path: Path) -> bool:
    match = _NAME.fullmatch(path.name)
    if match is None:
        return False
    if match["host"] == host_name() and not is_running(int(match["pid"])):
        return True
    try:
        return time.time() - path.lstat().st_mtime > _FORGOTTEN_SECONDS
    except OSError:
        return False
