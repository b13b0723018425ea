"""Starts ``mdreid-bench`` again and again without importing torch again: a process that forks on orders in JSON.

A child can be made to kill itself, or to meet a full disk, at its n-th operation on files of the results folder.
"""

import errno
import json
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any

from tests.reliability.power import Watch

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_EVENTS = {"os.rename": 2, "os.remove": 1, "os.mkdir": 1}
"""Audit events besides ``open`` that change files, and how many of their first arguments are paths."""


_REACHING = {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname"}


class Meddler:
    """An audit hook that counts operations on files below a folder and spoils one of them; there is no network.

    Args:
        folder: below which files are meddled with.
        kill_at: number of the operation, from 1, before which the process is killed; 0 for never.
        fail_at: number of the operation from which on the disk is full; 0 for never.
    """

    def __init__(self, folder: str, kill_at: int, fail_at: int) -> None:
        self.folder, self.kill_at, self.fail_at, self.count = folder, kill_at, fail_at, 0

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in _REACHING:
            os.write(2, b"tried to reach another machine\n")
            raise OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))
        if event == "open":
            paths = arguments[:1] if isinstance(arguments[2], int) and arguments[2] & _WRITING else ()
        else:
            paths = arguments[: _EVENTS.get(event, 0)]
        if not any(isinstance(path, str | os.PathLike) and os.fspath(path).startswith(self.folder) for path in paths):
            return
        self.count += 1
        if self.count == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        if 0 < self.fail_at <= self.count and event != "os.remove":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), os.fspath(paths[0]))


def child(order: dict[str, Any]) -> int:
    """Carry out an order in a forked process and return the exit code."""
    from mdreid_bench.cli.app import main
    from mdreid_bench.embedding import parts

    descriptor = os.open(order["output"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.update(order["environment"])
    parts.PART_SECONDS = order["part_seconds"]
    meddler = Meddler(order["folder"], order["kill_at"], order["fail_at"])
    sys.addaudithook(meddler)
    watch = Watch(order["folder"])
    if order["watch"]:
        watch.install()
    if order["file_limit"]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (order["file_limit"], order["file_limit"]))
    sys.argv = ["mdreid-bench", *order["arguments"]]
    code = 0
    try:
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    watch.finish()
    sys.stdout.flush()
    sys.stderr.flush()
    if not order["file_limit"]:
        Path(order["output"]).with_suffix(".count").write_text(str(meddler.count))
    return code


def serve() -> None:
    """Fork a child for every line of input; write its pid, then its exit code once asked for it."""
    import open_clip
    import pandas  # noqa: F401
    import torch

    import mdreid_bench.cli.run_session
    import mdreid_bench.models.mdreid.method
    import mdreid_bench.runs.merge  # noqa: F401

    assert open_clip.__version__
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    running: dict[int, int] = {}
    for line in sys.stdin:
        order = json.loads(line)
        if "wait_for" in order:
            pid = order["wait_for"]
            _, status = os.waitpid(pid, 0)
            running.pop(pid)
            answer = os.waitstatus_to_exitcode(status)
        else:
            pid = os.fork()
            if not pid:
                code = 99
                try:
                    code = child(order)
                finally:
                    os._exit(code)
            running[pid] = int(time.monotonic())
            answer = pid
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()
    for pid in running:
        os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    serve()
