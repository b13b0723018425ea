"""Whole runs on the card: one that is killed and goes on, and two that would share it."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tests.cli.running import environment
from tests.data.trees import plant
from tests.gpu.frame import Bench, Check, Line
from tests.reliability.machine import measured

ALIKE = 0.05
"""Largest difference of metrics and, as a share, of the last losses where a card does not repeat itself."""
PROGRAM = ("-m", "mdreid_bench")
PATIENCE = 60
"""Seconds that a small run may take."""


def checks() -> Sequence[tuple[str, Check]]:
    """Return the checks of whole runs."""
    return (("killed run", killed), ("two processes on one card", shared))


def command(bench: Bench) -> tuple[str, ...]:
    """Return the arguments of a small run on planted images."""
    return (
        *("run", "--dataset", "msvr310", "--data-root", str(bench.folder / "data"), "--device", bench.device.type),
        *("--method", "mdreid", "--preset", "tiny", "--epochs", str(bench.sizes.epochs), "--protocol", "R-to-NT"),
        *("--set", "trunk.pretrained=null", "--set", "image.size=[32, 32]"),
        *("--batch-size", "8", "--set", "batch.instances=2"),
    )


def ended(job: "subprocess.Popen[str]") -> str:
    """Wait for a process, end one that takes too long, and return what it said."""
    try:
        return job.communicate(timeout=PATIENCE)[0]
    except BaseException:
        job.terminate()
        raise


class Runs:
    """Runs of one command in processes of their own, each with a results folder.

    Args:
        bench: says where.
        program: that python runs.
    """

    def __init__(self, bench: Bench, program: Sequence[str] = PROGRAM) -> None:
        plant(bench.folder / "data", "msvr310")
        self.bench, self.program = bench, program
        self.environment = environment(MDREID_CACHE=str(bench.folder / "cache"))

    def start(self, results: Path, launcher: Sequence[str] = (), **extra: str) -> "subprocess.Popen[str]":
        """Start the command; what it says can be read."""
        arguments = [sys.executable, *launcher, *self.program, *command(self.bench), "--results", str(results)]
        streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return subprocess.Popen(arguments, env=self.environment | extra, **streams)

    def whole(self, results: Path) -> str:
        """Run the command to its end and return what it said."""
        job = self.start(results)
        said = ended(job)
        assert job.returncode == 0, f"a run ended with {job.returncode}: {said[-500:]}"
        return said

    def kill(self, results: Path) -> None:
        """Start the command and kill it once an epoch is kept."""
        job, end = self.start(results), time.monotonic() + PATIENCE
        while not any(results.glob("trained/*/state.safetensors")):
            assert job.poll() is None, f"the run ended by itself: {job.communicate()[0][-500:]}"
            assert time.monotonic() < end, f"no epoch was kept within {PATIENCE} s"
            time.sleep(0.002)
        job.send_signal(signal.SIGKILL)
        ended(job)
        assert not any(results.glob("trained/*/weights.safetensors")), "the training had ended before it was killed"


def killed(bench: Bench) -> Iterable[Line]:
    """Kill a run in its training, go on, and compare everything with a run that was left alone."""
    runs, results, alone = Runs(bench), bench.folder / "killed", bench.folder / "alone"
    runs.kill(results)
    runs.whole(results)
    (log,) = results.glob("runs/*/run.log")
    resumed = re.search(r"epoch (\d+)/\d+, resumed", log.read_text(encoding="utf-8"))
    assert resumed is not None, "the second run began anew"
    runs.whole(alone)
    what = f"run killed after epoch {resumed[1]} of {bench.sizes.epochs} and resumed, against one left alone"
    if measured(results) == measured(alone):
        yield Line(what, "the same bytes", "the same bytes", "pass")
        return
    again = bench.folder / "again"
    runs.whole(again)
    repeats = measured(again) == measured(alone)
    apart, noise = _apart(results, alone), _apart(again, alone)
    shown = f"{apart:.3g} apart; two runs left alone are {noise:.3g} apart"
    wanted = "the same bytes" if repeats else f"at most {ALIKE} apart, as two runs left alone are not the same bytes"
    yield Line(what, shown, wanted, "pass" if not repeats and apart <= ALIKE else "FAIL")


def _apart(first: Path, second: Path) -> float:
    """Return the largest difference of metrics, 0 to 1, and of the losses of the last epoch as a share of them."""
    found = []
    for results in (first, second):
        (record,) = results.glob("runs/*/full/*.json")
        (log,) = results.glob("trained/*/log.jsonl")
        losses = json.loads(log.read_text().splitlines()[-1])["losses"]
        found.append((json.loads(record.read_text())["metrics"], losses))
    (metrics, losses), (others, other_losses) = found
    apart: list[float] = [abs(v - others[name]) for name, v in metrics.items() if isinstance(v, float)]
    apart += [abs(v - other_losses[name]) / max(abs(v), 1e-6) for name, v in losses.items()]
    return max(apart)


def shared(bench: Bench, program: Sequence[str] = PROGRAM) -> Iterable[Line]:
    """Let torchrun start two processes that see one card: both are refused, in a sentence that says what to do."""
    what = "two processes on one card"
    if bench.device.type != "cuda":
        yield Line(what, "not tried: there is no card")
        return
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    seen = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]
    job = Runs(bench, program).start(bench.folder / "shared", launcher, CUDA_VISIBLE_DEVICES=seen)
    said = ended(job)
    flat = " ".join(said.split())
    advised = "2 processes were started on a machine with 1 CUDA device, and no two may share one; start 1" in flat
    codes = set(re.findall(r"exitcode\s*: (-?\d+)", said))
    shown = f"{'refused with advice' if advised else 'no advice'}, exit {', '.join(sorted(codes)) or job.returncode}"
    yield Line(what, shown, "refused with advice, exit 2", "pass" if advised and "2" in codes else "FAIL")
