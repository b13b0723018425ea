"""Runs carried out by jobs, which are processes of this machine here."""

import json
import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from mdreid_bench.cluster import campaign, job
from mdreid_bench.cluster.files import VARIABLE, log_of, read_ending
from mdreid_bench.cluster.job import Job
from mdreid_bench.cluster.picture import Status, picture
from tests.cli.running import Outcome, environment, in_process
from tests.cluster.fake import FakeJob
from tests.data.trees import plant
from tests.reliability.machine import wait_until

METHODS = ("random", "clip-zero-shot")
SMALL = (
    *("--preset", "tiny", "--device", "cpu", "--set", "trunk.pretrained=null", "--set", "trunk.layers=1"),
    *("--set", "image.size=[32, 32]", "--set", "batch.instances=2", "--batch-size", "4", "--seed", "1"),
)
LOCAL = ("--launcher", "local")


class Place:
    """A data root, a results folder made without jobs, and one to be made with them."""

    def __init__(self, base: Path) -> None:
        self.plain, self.results, self.signs = base / "plain", base / "results", base / "signs"
        self.data, self.signs = base / "data", base / "signs"
        self.environment = environment(MDREID_CACHE=str(base / "cache"), OMP_NUM_THREADS="1", SIGNS=str(self.signs))
        plant(self.data, "msvr310")
        self.wanted = self.call(results=self.plain)
        assert self.wanted.returncode == 0, self.wanted.stderr

    def words(self, *more: str, methods: tuple[str, ...] = METHODS, results: Path | None = None) -> tuple[str, ...]:
        """Return a command."""
        named = [word for method in methods for word in ("--method", method)]
        places = ("--data-root", str(self.data), "--results", str(results or self.results))
        protocols = ("--protocol", "R-to-NT", "--protocol", "RNT-to-RNT")
        return ("run", "--dataset", "msvr310", *protocols, *named, *SMALL, *places, *more)

    def call(
        self,
        *more: str,
        methods: tuple[str, ...] = METHODS,
        results: Path | None = None,
        meanwhile: Mapping[str, str] | None = None,
    ) -> Outcome:
        """Call ``run`` in this process; once it waits, the jobs of these methods end, with an error or without."""
        ends = iter((meanwhile or {}).items())

        def sleep(seconds: float) -> None:
            for method, error in ends:
                self.end(method, error)
            time.sleep(seconds)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(campaign, "sleep", sleep)
            return in_process(*self.words(*more, methods=methods, results=results), env=self.environment)

    @property
    def job(self) -> int:
        """The process of the one job."""
        (number,) = {json.loads(path.read_text())["job"] for path in self.results.glob("jobs/*[!d].json")}
        return int(number)

    def task(self, method: str) -> str:
        """Return the name of the task of a method, once it was submitted."""
        (file,) = self.results.glob(f"jobs/msvr310-{method}-s1-*[!d].json")
        return file.stem

    def begun(self, method: str) -> list[int]:
        """Return the processes of the jobs that began the task of a method, in order."""
        file = self.signs / "begun"
        lines = [line.split() for line in file.read_text().splitlines()] if file.exists() else []
        return [int(process) for name, process in lines if name == self.task(method)]

    def end(self, method: str, error: str = "") -> None:
        """Let the job of a method end, with the results that it has without a job or with an error."""
        (run,) = self.plain.glob(f"runs/msvr310-{method}-*")
        sign = self.signs / f".{method}"
        sign.write_text(json.dumps({"error": error} if error else {"run": str(run)}))
        sign.rename(self.signs / self.task(method))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("jobs"))


@pytest.fixture
def place(whole: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """Results and signs of its own; jobs are fakes, and those left at work are ended."""
    whole.results, whole.signs = tmp_path / "results", tmp_path / "signs"
    whole.signs.mkdir()
    whole.environment["SIGNS"] = str(whole.signs)
    monkeypatch.setattr(job, "Job", FakeJob)
    monkeypatch.setitem(campaign.SECONDS, "local", 0.05)
    yield whole
    for file in whole.results.glob("jobs/*[!d].json"):
        with suppress(ProcessLookupError):
            os.kill(int(json.loads(file.read_text())["job"]), signal.SIGTERM)


def test_a_job_left_at_work_is_returned_to_and_not_submitted_twice(place: Place, tmp_path: Path) -> None:
    left = place.call(*LOCAL, "--detach", "--jobs", "2")
    assert left.returncode == 0, left.stderr
    assert "Submitted to this machine: 2 tasks" in left.stderr
    assert "'kill " in left.stderr
    wait_until(lambda: len(place.begun("random")) == 1)
    shown = place.call(*LOCAL, "--dry-run")
    assert [line.split()[-2] for line in shown.stdout.splitlines() if line.startswith("Random scorer on")] == [
        "running"
    ]
    wait_until(lambda: len(place.begun(METHODS[1])) == 1)
    done = place.call(*LOCAL, meanwhile=dict.fromkeys(METHODS, ""))
    assert (done.returncode, done.stdout) == (0, place.wanted.stdout.replace(str(place.plain), str(place.results)))
    assert "Queued or running already: 2 tasks" in done.stderr
    assert "Submitted" not in done.stderr
    assert "Cells: 0 reused, 4 done, 0 skipped, 0 failed." in done.stderr
    assert [len(place.begun(method)) for method in METHODS] == [1, 1]
    again = place.call(*LOCAL)
    assert (again.returncode, again.stdout) == (0, done.stdout)
    assert "Cells: 4 reused, 0 done" in again.stderr
    does_its_part(place, place.task("random"), tmp_path / "elsewhere")


def does_its_part(place: Place, name: str, results: Path) -> None:
    """What a job does, in this process: what the name in its environment says, whatever else the command names."""
    place.environment[VARIABLE] = name
    done = place.call(*LOCAL, results=results)
    place.environment[VARIABLE] = "of-another-plan"
    other = place.call(*LOCAL, results=results)
    del place.environment[VARIABLE]
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert "Plan: 1 run, 2 cells (2 new, 0 cached), on cpu." in done.stderr
    assert [path.name.split("-tiny")[0] for path in (results / "runs").iterdir()] == ["msvr310-random"]
    ending = read_ending(results / "jobs", name)
    assert ending is not None
    assert ending.failures == ()
    assert other.returncode == 1
    assert "The plan has no part of-another-plan any more" in other.stderr


def test_a_job_that_is_preempted_is_queued_again_and_goes_on(place: Place) -> None:
    place.call(*LOCAL, "--detach", methods=METHODS[:1])
    wait_until(lambda: len(place.begun("random")) == 1)
    os.kill(place.begun("random")[0], signal.SIGUSR2)
    wait_until(lambda: len(place.begun("random")) == 2)
    assert read_ending(place.results / "jobs", place.task("random")) is None
    done = place.call(*LOCAL, methods=METHODS[:1], meanwhile={"random": ""})
    assert done.returncode == 0, done.stderr
    assert "Cells: 0 reused, 2 done" in done.stderr
    assert "this job is preempted" in next(place.results.glob("jobs/submitit/*_log.err")).read_text()


def test_what_fails_is_told_and_the_rest_is_done(place: Place) -> None:
    """One job carries out both tasks, one after the other."""
    place.call(*LOCAL, "--detach")
    done = place.call(*LOCAL, meanwhile={"random": "There is no room in /somewhere.", "clip-zero-shot": ""})
    assert done.returncode == 1
    assert "Error: random on msvr310, seed 1: There is no room in /somewhere." in done.stderr
    assert done.stderr.count("There is no room") == 1
    assert "Cells: 0 reused, 2 done, 0 skipped, 2 failed." in done.stderr
    again = place.call(*LOCAL, "--detach")
    assert "Again: Random scorer on MSVR310, seed 1, which failed: There is no room in /somewhere." in again.stderr
    assert "Submitted to this machine: 1 task" in again.stderr


def test_a_job_that_is_killed_is_missed_and_submitted_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.call(*LOCAL, "--detach", methods=METHODS[:1])
    wait_until(lambda: len(place.begun("random")) == 1)

    def kill(seconds: float) -> None:
        for process in (place.job, *place.begun("random")):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)

    monkeypatch.setattr(campaign, "sleep", kill)
    missed = in_process(*place.words(*LOCAL, methods=METHODS[:1]), env=place.environment)
    assert missed.returncode == 1
    assert "ended before it was done, as when it is cancelled or killed; see" in missed.stderr
    again = place.call(*LOCAL, methods=METHODS[:1], meanwhile={"random": ""})
    assert again.returncode == 0, again.stderr
    assert "Submitted to this machine: 1 task" in again.stderr


def test_the_command_of_a_job_carries_out_a_plan(whole: Place, tmp_path: Path) -> None:
    """With the real command, whose process is another one, and a configuration that can be read only once."""
    whole.results = tmp_path / "results"
    reading, writing = os.pipe()
    os.write(writing, b"evaluation: {batch_size: 5}")
    os.close(writing)
    done = whole.call(*LOCAL, "--config", f"/dev/fd/{reading}", methods=("random",))
    os.close(reading)
    assert done.returncode == 0, done.stderr
    (config,) = whole.results.glob("runs/*/config.yaml")
    assert "batch_size: 5" in config.read_text()
    for record in whole.plain.glob("runs/msvr310-random-*/full/*.json"):
        ours = json.loads((whole.results / record.relative_to(whole.plain)).read_text())
        assert ours["metrics"] == json.loads(record.read_text())["metrics"]
    assert "Cells: 0 reused, 2 done" in log_of(whole.results / "jobs", whole.task("random")).read_text()


@pytest.mark.slow
def test_processes_share_a_job_as_with_torchrun(whole: Place, tmp_path: Path) -> None:
    whole.results = tmp_path / "results"
    done = whole.call(*LOCAL, "--gpus", "2", "--epochs", "1", methods=("single-classifier",))
    assert done.returncode == 0, done.stderr
    assert "Cells: 0 reused, 2 done" in done.stderr
    words = Job(["a"], tmp_path, ["run"], processes=2)._words
    assert words[1:] == [
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        "-m",
        "mdreid_bench",
        "run",
    ]


@pytest.mark.parametrize("job", ["28980", "1234567_12"])
def test_the_time_left_and_what_tells_tasks_apart_are_seen_on_a_narrow_terminal(job: str) -> None:
    titles = [f"Single classifier on RGBNT100 + RGBNT201 → MSVR310, seed {seed}" for seed in (1, 2)]
    detail = "about 23 h 59 min left, epoch 10/50, step 123/345"
    found = [Status(title, "running", job, detail) for title in titles]
    headline, *lines = picture(found, 80, 24).plain.splitlines()
    assert headline == "Jobs: 2 running."
    for line, seed in zip(lines, (1, 2), strict=True):
        assert len(line) <= 80
        assert all(part in line for part in (f", seed {seed}  {job}  running  about 23 h 59 min left", "Single cl"))
    (_, wide, _) = picture(found, 160, 24).plain.splitlines()
    assert (titles[0] in wide, detail in wide) == (True, True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--gpus", "2"), "--gpus is for jobs; add --launcher slurm, or leave it out."),
        (("--detach",), "--detach is for jobs"),
        ((*LOCAL, "--partition", "long"), "--partition goes with --launcher slurm"),
        ((*LOCAL, "--fail-fast"), "--fail-fast and --launcher do not go together"),
        ((*LOCAL, "--shard", "1/2"), "--launcher has the whole plan carried out; leave --shard out."),
        ((*LOCAL, "--time", "soon"), "--time takes minutes"),
        (("--launcher", "slurm"), "--launcher slurm needs sbatch, which was not found"),
        (("--launcher", "pbs"), "Unknown value of --launcher"),
    ],
)
def test_options_that_cannot_be_meant(
    whole: Place, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], message: str
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    done = whole.call(*options)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("Error: ") == 1


def test_without_submitit_the_extra_is_named(whole: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mdreid_bench.cluster.scheduler.find_spec", lambda name: None)
    done = whole.call(*LOCAL)
    assert done.returncode == 2
    assert "pip install 'mdreid-bench[cluster]'" in done.stderr
