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
from mdreid_bench.results.storage.lock import Owner, attempt, host_name, in_use, locked, owner_of
from mdreid_bench.results.storage.temporary import clear, temporary_beside
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
    stale = Owner(host="elsewhere", pid=1, since="2026-01-01 00:00:00 UTC")
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


WRITE = """
import sys, time
from pathlib import Path
from mdreid_bench.results.storage.temporary import temporary_beside
with temporary_beside(Path(sys.argv[1]), folder=sys.argv[2] == "folder") as path:
    print(path, flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_somebody_writes_stays_and_what_a_killed_process_left_goes(tmp_path: Path, kind: str) -> None:
    """No number of a process is asked for: another container has its own."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITE, str(tmp_path / "a.npy"), kind], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        written = Path(process.stdout.readline().rstrip())
        if kind == "folder":
            (written / "deep").mkdir()
        assert clear(tmp_path) == []
        assert written.exists()
        process.kill()
    assert clear(tmp_path) == [written]
    assert list(tmp_path.iterdir()) == []


def test_temporary_files_of_other_machines_are_kept_for_a_day(tmp_path: Path) -> None:
    young, old, former = (f".{n}.npy.0badcafe-0123456789abcdef.tmp" for n in "abc")
    before = ".d.npy.some-host.4194999-0123abcd.tmp"
    kept = {young, "a.npy", ".hidden", ".x.tmp"}
    for name in (*kept, old, former, before):
        (tmp_path / name).touch()
    for name in (old, former, before):
        os.utime(tmp_path / name, (0, 0))
    with temporary_beside(tmp_path / "d.npy") as ours:
        assert {path.name for path in clear(tmp_path)} == {old, former, before}
        assert ours.exists()
    assert {path.name for path in tmp_path.iterdir()} == kept
    assert clear(tmp_path / "nowhere") == []


def test_where_nobody_can_hold_a_file_it_is_kept_for_a_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with temporary_beside(tmp_path / "a") as path:
        assert clear(tmp_path) == []
        os.utime(path, (0, 0))
        assert clear(tmp_path) == [path]


def test_a_forked_child_does_not_hold_a_temporary_file(tmp_path: Path) -> None:
    with temporary_beside(tmp_path / "a") as path:
        os.link(path, tmp_path / "kept")
        ready, tell = os.pipe()
        child = os.fork()
        if not child:
            os.write(tell, b".")
            time.sleep(30)
            os._exit(0)
    try:
        assert os.read(ready, 1) == b"."
        (tmp_path / "kept").rename(path)
        assert clear(tmp_path) == [path]
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_a_link_in_the_place_of_a_lock_is_not_followed(tmp_path: Path) -> None:
    target, link = tmp_path / "precious", tmp_path / ".lock"
    target.write_text("do not touch")
    for aim in (target, tmp_path / "absent", Path("/dev/zero")):
        link.unlink(missing_ok=True)
        link.symlink_to(aim)
        with pytest.raises(DataError, match=r"Cannot lock .*it is a link, which is not followed"), attempt(link):
            pass
        with pytest.raises(DataError, match="Cannot lock"):
            in_use(link)
    assert target.read_text() == "do not touch"
    assert not (tmp_path / "absent").exists()


def test_a_pipe_in_the_place_of_a_lock_makes_nobody_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ".lock")
    assert owner_of(tmp_path / ".lock") is None
    with pytest.raises(DataError, match="not a regular file"), attempt(tmp_path / ".lock"):
        pass
