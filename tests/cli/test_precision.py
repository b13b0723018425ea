"""``--precision`` and ``--compile`` reach configuration and records; what makes no sense is refused at once."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cli.running import Outcome, environment, in_process
from tests.data.trees import plant


class Place:
    """Small planted images, a cache and a results folder."""

    def __init__(self, base: Path) -> None:
        self.base, self.results = base, base / "results"
        self.environment = environment(MDREID_CACHE=str(base / "cache"), OMP_NUM_THREADS="1")
        plant(base / "data", "msvr310")

    def call(self, command: str, *arguments: str) -> Outcome:
        """Call a command on small images, without pretrained weights."""
        small = ("--set", "trunk.pretrained=null", "--set", "image.size=[32, 32]", "--device", "cpu")
        folders = ("--data-root", str(self.base / "data"), "--results", str(self.results))
        return in_process(command, "--dataset", "msvr310", *arguments, *small, *folders, env=self.environment)

    def run(self, *arguments: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """Run a method that needs no training; return its record and its configuration."""
        done = self.call("run", "--method", "clip-zero-shot", "--protocol", "R-to-NT", *arguments)
        assert done.returncode == 0, done.stderr
        path = Path(done.stdout.splitlines()[-1])
        return json.loads(path.read_text()), yaml.safe_load((path.parents[1] / "config.yaml").read_text())


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("precision"))


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_precision_reaches_configuration_and_record(place: Place, precision: str) -> None:
    record, config = place.run("--precision", precision)
    assert (record["precision"], config["evaluation"]["precision"]) == (precision, precision)
    assert record["config_overrides"]["evaluation"] == {"precision": precision}
    assert config["precision"] == "fp32"  # of training


def test_the_option_is_stronger_than_an_assignment(place: Place) -> None:
    record, config = place.run("--set", "evaluation.precision=fp32", "--precision", "bf16")
    assert (record["precision"], config["evaluation"]["precision"]) == ("bf16", "bf16")
    by_hand, _ = place.run("--set", "evaluation.precision=bf16")
    assert by_hand["run_key"] == record["run_key"]


def test_auto_says_what_it_chose(place: Place) -> None:
    record, config = place.run("--precision", "auto")
    assert (record["precision"], config["evaluation"]["precision"]) == ("fp32", "auto")


def test_compiling_without_a_compiler_is_refused_before_anything_is_done(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_: None)
    arguments = ("--method", "clip-zero-shot", "--protocol", "R-to-NT", "--seed", "5")
    refused = place.call("run", *arguments, "--compile", "--precision", "bf16")
    assert refused.returncode == 2
    assert "--compile needs a C++ compiler" in refused.stderr
    assert list(place.results.glob("runs/*-s5-*")) == []
    assert place.call("run", *arguments, "--precision", "bf16").returncode == 0


@pytest.mark.parametrize("command", [("run", "--method", "mdreid"), ("ablate",)])
@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--precision", "fp8"), "--precision"),
        (("--precision", ""), "--precision has no value"),
        (("--set", "evaluation.precision=half"), "evaluation.precision"),
        (("--set", "evaluation.compile=perhaps"), "evaluation.compile"),
        (("--set", "memory.micro_batch=0"), "memory.micro_batch"),
        (("--set", "memory.micro_batch=1.5"), "memory.micro_batch"),
        (("--set", "memory.checkpointing=2"), "memory.checkpointing"),
        (("--set", "memory.checkpoint=true"), "Did you mean"),
    ],
)
def test_bad_values_are_refused(
    place: Place, command: tuple[str, ...], arguments: tuple[str, ...], named: str
) -> None:
    done = place.call(*command, *arguments)
    assert done.returncode == 2
    assert named in done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("Error: ")]) == 1
    assert "Traceback" not in done.stderr
