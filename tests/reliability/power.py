"""Finds out what a power cut could lose: watches the order in which a process writes, syncs and renames.

A file system may put things on the disk in any order unless it is told to wait. Here everything must be there before
the next step: a file before it is renamed, the entry of its folder before anything else is renamed, made or removed.
Then a power cut at any moment leaves what a kill at that moment would. Threads that write cells side by side owe this
each for its own cell, since a kill may find any of them further on than the others; the main thread owes it for all.
"""

import os
import stat
import sys
import threading
from collections.abc import Callable
from typing import Any

SIGN = "a power cut could lose"
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_PASSING = (".tmp", ".lock", "run.log", "history.jsonl")
"""Ends of the names of files that nobody believes."""


class Watch:
    """Complains on stderr, once installed in a process, about everything below a folder that a power cut could lose.

    Args:
        folder: an absolute path.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.synced: set[tuple[int, int, int]] = set()
        self.pending: dict[tuple[int, int], str] = {}
        """By thread and folder."""

    def install(self) -> None:
        """Take the place of the functions in ``os``; there is no way back."""
        self._wrap("fsync", self._sync)
        for name in ("replace", "rename"):
            self._wrap(name, self._rename)
        for name in ("mkdir", "unlink", "rmdir"):
            self._wrap(name, self._change)
        sys.addaudithook(self._audit)

    def finish(self) -> None:
        """Complain about what is still not on the disk at the end."""
        self._demand_nothing_pending("at the end")

    def _wrap(self, name: str, watcher: Callable[..., None]) -> None:
        original: Callable[..., Any] = getattr(os, name)

        def wrapped(*arguments: Any, **options: Any) -> Any:
            result = None
            if name == "fsync":
                result = original(*arguments, **options)
                watcher(*arguments)
            else:
                watcher(name, *arguments)
                result = original(*arguments, **options)
                self._entered(name, arguments)
            return result

        setattr(os, name, wrapped)

    def _sync(self, descriptor: int) -> None:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            self.pending.pop((threading.get_ident(), status.st_ino), None)
        else:
            self.synced.add(_state(status))

    def _rename(self, name: str, source: Any, target: Any) -> None:
        if self._concerns(target):
            self._demand_nothing_pending(f"before {name} of {target}")
            if _state(os.stat(source)) not in self.synced:
                self._complain(f"the content of {target}")

    def _change(self, name: str, path: Any, *_: Any) -> None:
        if self._concerns(path) and not os.fspath(path).endswith(_PASSING):
            self._demand_nothing_pending(f"before {name} of {path}")

    def _entered(self, name: str, arguments: tuple[Any, ...]) -> None:
        """Remember the folder that has a new entry."""
        path = arguments[0] if name == "mkdir" else arguments[1] if name in ("replace", "rename") else None
        if path is not None and self._concerns(path):
            self.pending[threading.get_ident(), os.stat(os.path.dirname(path)).st_ino] = os.fspath(path)

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITING:
            path = arguments[0]
            if self._concerns(path) and not os.fspath(path).endswith(_PASSING):
                self._complain(f"the parts of {path}, which is written in its place")

    def _concerns(self, path: object) -> bool:
        return isinstance(path, str | os.PathLike) and str(os.fspath(path)).startswith(self.folder)

    def _demand_nothing_pending(self, when: str) -> None:
        own, main = threading.get_ident(), threading.current_thread() is threading.main_thread()
        for (thread, _), path in list(self.pending.items()):
            if main or thread == own:
                self._complain(f"the entry of {path}, not synced {when}")

    @staticmethod
    def _complain(what: str) -> None:
        os.write(2, f"{SIGN} {what}\n".encode())


def _state(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_ino, status.st_size, status.st_mtime_ns
