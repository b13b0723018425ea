"""Which machine and which process this is, so that what a dead one left behind can be told from what is in use."""

import os
import platform
import re
from functools import cache
from pathlib import Path

_LONGEST = 40


@cache
def host_name() -> str:
    """Return the name of this machine as letters, digits and hyphens."""
    return re.sub(r"[^A-Za-z0-9-]+", "-", platform.node())[:_LONGEST].strip("-") or "unnamed"


def is_running(pid: int) -> bool:
    """Tell whether a process of this machine is there."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def process_start(pid: int) -> int | None:
    """Return when a process started, in clock ticks since boot, or None where the system does not tell."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
        return int(stat.rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return None
