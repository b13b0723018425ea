"""Splits are repetitions like seeds; items that one sensor saw each are embedded and compared across sensors."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mdreid_bench.config.resolve import Overrides
from mdreid_bench.data.opening import open_dataset
from mdreid_bench.data.synthetic.generate import generate
from mdreid_bench.progress import Silent
from mdreid_bench.results.store import Store
from mdreid_bench.runs.execute import Means, execute
from mdreid_bench.runs.outcome import Outcomes, plan_table
from mdreid_bench.runs.plan import Request, plan_cells, plan_runs
from mdreid_bench.runs.run import Run
from mdreid_bench.training.selection import BestTest
from protocols.modality import Modality, R, T
from protocols.suites import resolve
from tests.cli.running import environment, in_process
from tests.data.others import register
from tests.data.trees import paint

FLAGS = {"trunk": {"pretrained": None, "layers": 1}, "image": {"size": [32, 48]}, "evaluation": {"batch_size": 4}}


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    register(monkeypatch)
    generate(tmp_path / "data", "lone", "tiny", 0, Silent())
    for identity in range(1, 5):
        for camera in (1, 2, 3):
            path = tmp_path / f"data/Listed/images/cam{camera}/{identity:04d}/0.jpg"
            paint(path, (12, 8), f"{identity} {camera}")
    for split, trained in (("1", "0001,0002"), ("2", "0003,0004")):
        (tmp_path / f"data/Listed/train_{split}.txt").write_text(trained)
    return tmp_path / "data"


def _runs(root: Path, name: str, splits: tuple[str | None, ...], seeds: tuple[int, ...] = (1,)) -> list[Run]:
    indexes = [open_dataset(name, root, Silent(), split) for split in splits]
    request = Request(("clip-zero-shot",), "tiny", seeds, Overrides(flags=FLAGS))
    return plan_runs(request, indexes, Store(root.parent / "results"))


def _outcomes(runs: list[Run], *protocols: str) -> Outcomes:
    plan = [(run, plan_cells(run, resolve(protocols, run.index.sensors))) for run in runs]
    return Outcomes(plan, list(execute(plan, Means(torch.device("cpu"), Silent()))))


def test_splits_and_seeds_are_repetitions_with_places_of_their_own(data: Path) -> None:
    runs = _runs(data, "listed", ("1", "2"), (1, 2))
    assert [(run.index.split, run.config.seed) for run in runs] == [("1", 1), ("1", 2), ("2", 1), ("2", 2)]
    assert len({run.run_key for run in runs}) == len({run.id.folder_name for run in runs}) == 4
    assert len({run.training_folder.path for run in runs}) == 4
    assert len({run.config_key for run in runs}) == 1
    assert all(f"-{run.index.split}-s{run.config.seed}-" in run.id.folder_name for run in runs)
    (lone,) = _runs(data, "lone", (None,))
    assert lone.id.folder_name == f"lone-clip-zero-shot-tiny-s1-{lone.run_key[:10]}"
    outcomes = _outcomes(runs[::2], "R-to-T")
    assert [outcome.status for outcome in outcomes.all] == ["done", "done"]
    assert [record.split for record in outcomes.records] == ["1", "2"]
    assert [record for _, record in runs[0].store.records()] == outcomes.records
    table = plan_table(outcomes.plan)
    assert [column.title for column in table.columns][:4] == ["dataset", "split", "method", "seed"]


def test_the_command_line_takes_splits(data: Path) -> None:
    common = ("run", "--method", "random", "--dry-run", "--data-root", str(data), "--preset", "tiny")
    env = environment(MDREID_CACHE=str(data.parent / "cache"), COLUMNS="200")
    for asked, rows in (((), 1), (("--split", "2"), 1), (("--split", "all"), 2)):
        done = in_process(*common, "--dataset", "listed", *asked, env=env)
        assert done.returncode == 0, done.stderr
        assert len([line for line in done.stdout.splitlines() if line.startswith("Listed ")]) == rows
    for dataset, said in (("listed", "Unknown split of Listed '3'"), ("lone", "Lone has one; leave it out")):
        done = in_process(*common, "--dataset", dataset, "--split", "3", env=env)
        assert done.returncode == 2
        assert said in done.stderr


def test_items_that_one_sensor_saw_are_compared_across_sensors(data: Path) -> None:
    (run,) = _runs(data, "lone", (None,))
    outcomes = _outcomes([run], "R-to-T", "T-to-R", "RT-to-R")
    assert [outcome.status for outcome in outcomes.by_cell] == ["done", "done", "not applicable"]
    assert outcomes.exit_code == 0
    for subset in (R, T, R | T):
        matrix = np.load(run.embeddings.matrix(subset))
        missing = np.isnan(matrix).all(axis=1)
        assert np.isnan(matrix).any(axis=1).tolist() == missing.tolist()
        seen = [subset in Modality(int(code)) for code in run.index.test.sensors]
        assert (~missing).tolist() == seen


def test_the_best_epoch_is_that_of_the_default_protocol(data: Path) -> None:
    (run,) = _runs(data, "lone", (None,))
    (record,) = _outcomes([run], "T-to-R").records
    assert run.index.card.default_protocols[0] == "T-to-R"
    chosen = BestTest(run.index, run.config, run.training_folder, torch.device("cpu"))
    assert chosen.mean_average_precision(run.build().eval()) == pytest.approx(record.metrics.mAP, abs=1e-12)


def test_runs_are_compared_split_by_split(data: Path) -> None:
    env = environment(MDREID_CACHE=str(data.parent / "cache"), COLUMNS="200")
    common = ("--results", str(data.parent / "results"))
    small = ("trunk.pretrained=null", "trunk.layers=1", "image.size=[32, 48]")
    sets = (part for one in small for part in ("--set", one))
    methods = ("--method", "random", "--method", "clip-zero-shot")
    where = ("--dataset", "listed", "--split", "all", "--data-root", str(data), "--preset", "tiny")
    done = in_process("run", *where, *methods, "--seed", "1", *sets, *common, env=env)
    assert done.returncode == 0, done.stderr
    (table,) = [line for line in done.stdout.splitlines() if "splits 1, 2 and seed 1" in line]
    assert "mean ± sample standard deviation" in table
    done = in_process("compare", "listed-random", "listed-clip", *common, env=env)
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines() if line.startswith("R-to-T")]
    assert [row[:4] for row in rows] == [["R-to-T", "1,", "split", "1"], ["R-to-T", "1,", "split", "2"]]
