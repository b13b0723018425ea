"""Runs carried out by a real Slurm of one machine, which tests start and stop, and which takes jobs away again."""

import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mdreid_bench.results.record_file import decode
from mdreid_bench.results.schema import Record
from tests.cli.running import START
from tests.cluster.test_local import METHODS, Place
from tests.processes.together import free_port

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol", "scancel", "sinfo")
LACKING = [name for name in PROGRAMS if shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") is None]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(LACKING), reason=f"not installed: {', '.join(LACKING)} (packages slurm-wlm and munge)"),
    pytest.mark.skipif(os.geteuid() != 0, reason="Slurm's daemons start jobs, which takes root"),
]
PLUGINS = ("disabled", "cgroup/v1", "cgroup/v2\nIgnoreSystemd=yes")
"""Of control groups; which one starts depends on Slurm's version and on the machine. None is made use of."""
CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={base}/munge/socket
SlurmctldPort={controller}
SlurmdPort={daemon}
SlurmctldPidFile={base}/slurmctld.pid
SlurmdPidFile={base}/slurmd.pid
SlurmctldLogFile={base}/slurmctld.log
SlurmdLogFile={base}/slurmd.log
StateSaveLocation={base}/state
SlurmdSpoolDir={base}/spool
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
KillWait=5
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP PriorityTier=1
PartitionName=urgent Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=2
"""


def _said(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=60).stdout


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    base = tmp_path_factory.mktemp("slurm")
    for name in ("munge", "state", "spool"):
        (base / name).mkdir(mode=0o755)
    key = base / "munge" / "key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    host = platform.node().partition(".")[0]
    text = CONFIGURATION.format(base=base, host=host, controller=free_port(), daemon=free_port())
    (base / "slurm.conf").write_text(text)
    files = {name: str(base / "munge" / name) for name in ("socket", "pid", "log", "seed")}
    flags = {"socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
    munged = [f"--{flag}={files[name]}" for flag, name in flags.items()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{os.environ['PATH']}:/usr/sbin")
        patch.setenv("SLURM_CONF", str(base / "slurm.conf"))
        try:
            subprocess.run(["munged", "--force", f"--key-file={key}", *munged], check=True)
            (base / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")
            subprocess.run(["slurmctld", "-f", str(base / "slurm.conf")], check=True)
            for plugin in PLUGINS:  # slurmd wants the absolute path, which it hands to its jobs
                (base / "cgroup.conf").write_text(f"CgroupPlugin={plugin}\n")
                subprocess.run(["slurmd", "-f", str(base / "slurm.conf")], check=False)
                time.sleep(3)
                if "idle" in _said("sinfo", "--noheader", "--format=%T"):
                    break
            assert "idle" in _said("sinfo", "--noheader", "--format=%T"), (base / "slurmd.log").read_text()
            yield
        finally:
            _said("scancel", "--me")
            for path in (base / "slurmd.pid", base / "slurmctld.pid", base / "munge" / "pid"):
                if path.exists():
                    os.kill(int(path.read_text()), signal.SIGTERM)


@pytest.fixture
def place(slurm: None, tmp_path: Path) -> Place:
    return Place(tmp_path)


def _started(place: Place, *more: str, methods: tuple[str, ...]) -> "subprocess.Popen[str]":
    words = place.words("--launcher", "slurm", "--time", "10:00", *more, methods=methods)
    return subprocess.Popen(
        [sys.executable, "-c", START, *words],
        env=place.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _ended(process: "subprocess.Popen[str]") -> tuple[int, str]:
    said, _ = process.communicate(timeout=900)
    return process.returncode, said


def _records(results: Path) -> dict[str, Record]:
    files = results.glob("runs/*/full/*.json")
    found = {str(file.relative_to(results)): decode(file.read_bytes()) for file in files}
    return {name: record.model_copy(update={"provenance": None}) for name, record in found.items()}


def _patiently(true: Callable[[], bool]) -> None:
    """Wait for something that Slurm may take minutes for: it holds a job back for two that it queues again."""
    end = time.monotonic() + 300
    while not true():
        assert time.monotonic() < end, _said("squeue", "--noheader")
        time.sleep(0.5)


def test_an_array_measures_what_one_process_measures(place: Place) -> None:
    code, said = _ended(_started(place, methods=METHODS))
    assert code == 0, said
    assert "Submitted to Slurm: 2 tasks" in said
    assert len(place.wanted.stdout) > 100
    assert all(line in said for line in place.wanted.stdout.splitlines()[:-1])
    assert _records(place.results) == _records(place.plain)
    assert _said("squeue", "--noheader") == ""


def test_a_training_survives_being_queued_again_and_preempted(place: Place) -> None:
    longer, methods = ("--epochs", "60"), ("single-classifier",)
    alone = place.results.with_name("alone")
    assert place.call(*longer, methods=methods, results=alone).returncode == 0

    def epochs() -> int:
        return sum(len(file.read_text().splitlines()) for file in place.results.glob("trained/*/log.jsonl"))

    process = _started(place, *longer, methods=methods)
    _patiently(lambda: epochs() >= 3)
    job = _said("squeue", "--noheader", "--array", "--format=%i").split()[0]
    _said("scontrol", "requeue", job)
    _patiently(lambda: "PENDING" in _said("squeue", "--noheader", "--format=%T"))
    before = epochs()
    assert before < 60
    _patiently(lambda: epochs() >= before + 3)
    _said("sbatch", "--partition=urgent", "--ntasks=2", "--output=/dev/null", "--wrap=sleep 5")
    code, said = _ended(process)
    assert code == 0, said
    (log,) = place.results.glob("jobs/*.log")
    text = log.read_text()
    assert text.count("Plan: 1 run") == 3, text
    (told,) = place.results.glob("runs/*/run.log")
    assert told.read_text().count("resumed") == 2, told.read_text()
    assert _records(place.results) == _records(alone)
