"""Datasets as people have them, from the command line: what stops ``run``, and what it goes on with."""

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.running import Outcome, environment, in_process
from tests.data.trees import plant


@pytest.fixture
def root(tmp_path: Path) -> Path:
    plant(tmp_path, "rgbnt201")
    return tmp_path


def call(root: Path, command: str, *more: str) -> Outcome:
    given = ("--dataset", "rgbnt201", "--data-root", str(root), "--device", "cpu", *more)
    own = environment(MDREID_CACHE=str(root / "cache"), MDREID_RESULTS=str(root / "results"))
    return in_process(command, *given, env=own)


@pytest.mark.parametrize("command", [("run", "--method", "mdreid"), ("run", "--dry-run"), ("ablate",)])
def test_what_check_refuses_is_not_trained(command: tuple[str, ...], root: Path) -> None:
    folder = root / "RGBNT201"
    for sensor in ("RGB", "NI", "TI"):
        shutil.copytree(folder / "test" / sensor, folder / "train_171" / sensor, dirs_exist_ok=True)
    done = call(root, *command)
    assert done.returncode == 3
    assert "identity in train and test: 2, duplicate image: 60" in done.stderr
    assert "'mdreid-bench check --dataset rgbnt201' lists all" in done.stderr
    assert not (root / "results").exists()


def test_a_missing_thermal_image_stops_no_other_sensors(root: Path) -> None:
    (root / "RGBNT201" / "test" / "TI" / "000258_cam1_0_00.jpg").unlink()
    asked = ("--method", "random", "--protocol", "R-to-N", "--protocol", "T-to-T")
    refused = call(root, "run", *asked)
    assert refused.returncode == 3
    assert "or use them as they are with --allow-incomplete" in refused.stderr
    plan = call(root, "run", *asked, "--allow-incomplete", "--dry-run")
    assert plan.returncode == 0
    assert "Faults of RGBNT201: missing file: 1, count: 4." in plan.stdout
    done = call(root, "run", *asked, "--allow-incomplete")
    assert done.returncode == 0, done.stderr
    assert "R-to-N (incomplete: 1 image missing)" in done.stdout
    records = [json.loads(path.read_text()) for path in (root / "results" / "runs").glob("*/full/*.json")]
    found = {record["protocol"]: record for record in (record.get("record", record) for record in records)}
    assert {name: record["counts"]["gallery"] for name, record in found.items()} == {"R-to-N": 20, "T-to-T": 19}
    assert all(record["data_findings"] == {"missing file": 1, "count": 4} for record in found.values())


def test_a_limit_without_any_positive_is_told_before_training(root: Path) -> None:
    for path in list((root / "RGBNT201" / "test").glob("*/000258_cam2_*")):
        path.unlink()
    done = call(root, "run", "--method", "mdreid", "--limit", "5", "--dry-run")
    assert done.returncode == 0, done.stderr
    words = " ".join(done.stdout.split())
    assert "no query of RGBNT201 has a gallery item of its identity in another camera" in words
