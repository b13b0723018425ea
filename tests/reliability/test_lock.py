"""Locks: one owner at a time, whoever dies is replaced, nobody has to clean up."""

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mdreid_bench.errors import DataError
from mdreid_bench.progress import Silent
from mdreid_bench.results.storage import lock
from mdreid_bench.results.storage.host import host_name, is_running, process_start
from mdreid_bench.results.storage.leftovers import clear, temporary_beside
from mdreid_bench.results.storage.lock import Owner, attempt, locked, owner_of
from tests.data.trees import Recorder

HOLD = """
import sys, time
from pathlib import Path
from mdreid_bench.results.storage.lock import attempt
with attempt(Path(sys.argv[1])) as held:
    print(held is not None, flush=True)
    time.sleep(60)
"""


@contextmanager
def _holder(path: Path) -> Iterator["subprocess.Popen[str]"]:
    """A process that holds a lock until it is killed."""
    with subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "True\n"
        try:
            yield process
        finally:
            process.kill()


def test_a_lock_has_one_owner_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a" / ".lock"
    with attempt(path) as first:
        assert first is not None
        owner = owner_of(path)
        assert owner is not None
        assert (owner.pid, owner.host) == (os.getpid(), host_name())
        with attempt(path) as second:
            assert second is None
        assert path.exists()
    assert not path.exists()
    with attempt(path) as again:
        assert again is not None
        assert again.previous is None


def test_another_process_waits_says_for_whom_and_takes_over_from_the_dead(tmp_path: Path) -> None:
    path, recorder = tmp_path / ".lock", Recorder()
    with _holder(path) as process:
        threading.Timer(0.3, process.send_signal, [signal.SIGKILL]).start()
        start = time.monotonic()
        with locked(path, "the training", recorder):
            assert time.monotonic() - start > 0.2
            assert owner_of(path) == Owner.this_process() or owner_of(path) is not None
    waiting, taking = recorder.messages
    assert waiting.startswith(f"Waiting for the training: process {process.pid} on {host_name()}, since ")
    assert taking.startswith(f"Taking over the training from process {process.pid} on {host_name()}")
    assert not path.exists()


def test_a_stale_file_does_not_keep_anybody_out(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    for content in (b"", b"\xff\x00 rubbish", b'{"host": "h", "pid": "\x1b[2J"}'):
        path.write_bytes(content)
        with attempt(path) as held:
            assert held is not None
            assert held.previous is None
    stale = Owner(host="elsewhere", pid=1, started=None, since="2026-01-01 00:00:00 UTC")
    path.write_text(stale.model_dump_json())
    with attempt(path) as held:
        assert held is not None
        assert held.previous == stale


def test_ten_threads_take_turns(tmp_path: Path) -> None:
    """The lock file is removed and made again all the time; no two may be inside at once."""
    inside: list[int] = []
    most: list[int] = []

    def work() -> None:
        for _ in range(10):
            with locked(tmp_path / ".lock", "it", Silent()):
                inside.append(1)
                most.append(len(inside))
                time.sleep(0.0005)
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(10)]
    original, lock._SHORTEST_WAIT, lock._LONGEST_WAIT = (lock._SHORTEST_WAIT, lock._LONGEST_WAIT), 0.0005, 0.002
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        lock._SHORTEST_WAIT, lock._LONGEST_WAIT = original
    assert most == [1] * 100


def test_a_forked_child_does_not_keep_the_lock(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    with attempt(path):
        child = os.fork()
        if not child:
            time.sleep(30)
            os._exit(0)
    try:
        with attempt(path) as held:
            assert held is not None
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_a_file_system_without_locks_is_used_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with attempt(tmp_path / ".lock") as held:
        assert held is not None
        assert held.descriptor is None


def test_an_unwritable_folder_is_a_data_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="Cannot lock"), attempt(tmp_path / "file" / ".lock"):
        pass


def test_processes_are_told_apart() -> None:
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
    assert not is_running(child)
    assert is_running(os.getpid())
    assert process_start(os.getpid()) is not None
    assert process_start(child) is None


def test_leftovers_of_dead_processes_are_cleared_and_others_stay(tmp_path: Path) -> None:
    dead = f".a.npy.{host_name()}.4194999-0123abcd.tmp"
    foreign, old = ".b.npy.elsewhere.1-0123abcd.tmp", ".c.npy.elsewhere.1-0123abcd.tmp"
    ours = temporary_beside(tmp_path / "d.npy")
    kept = {foreign, ours.name, "a.npy", ".hidden", ".x.tmp"}
    for name in (*kept, dead, old):
        (tmp_path / name).touch()
    folder = tmp_path / f".MSVR310.{host_name()}.4194999-0123abcd.tmp"
    (folder / "deep").mkdir(parents=True)
    os.utime(tmp_path / old, (0, 0))
    removed = clear(tmp_path)
    assert {path.name for path in removed} == {dead, old, folder.name}
    assert {path.name for path in tmp_path.iterdir()} == kept
    assert clear(tmp_path / "nowhere") == []
