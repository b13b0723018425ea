"""Training on one dataset and testing on another."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mdreid_bench.config.resolve import Overrides
from mdreid_bench.data.check_rules import Kind
from mdreid_bench.data.datasets.rgbnt201_141_60 import LIST
from mdreid_bench.data.index import DatasetIndex
from mdreid_bench.data.marker import Marker, write_marker
from mdreid_bench.data.opening import open_dataset
from mdreid_bench.data.transfer import SHARED, Contents, shared_images
from mdreid_bench.errors import UsageError
from mdreid_bench.progress import Silent
from mdreid_bench.results.schema import Record
from mdreid_bench.results.store import Store
from mdreid_bench.runs.execute import Means, execute
from mdreid_bench.runs.outcome import plan_table
from mdreid_bench.runs.plan import Request, plan_cells, plan_runs
from mdreid_bench.runs.run import Run
from mdreid_bench.training.stage import Stage
from mdreid_bench.training.train import Trainer
from mdreid_bench.weights.checkpoint import read
from mdreid_bench.weights.trained_method import load_trained
from mdreid_bench.weights.weights_file import own_facts
from protocols.modality import RNT
from protocols.suites import resolve
from tests.cli.running import environment, in_process
from tests.data.trees import plant
from tests.support import SMALL

FLAGS = {**SMALL, "batch": {"size": 4, "instances": 2}, "schedule": {"epochs": 1, "warmup": 0}}


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """RGBNT201, RGBNT100 and MSVR310 of plain colours, below one folder."""
    root = tmp_path_factory.mktemp("roots")
    for name in ("rgbnt201", "rgbnt100", "msvr310"):
        plant(root, name)
    return root


@pytest.fixture(scope="module")
def persons(roots: Path) -> DatasetIndex:
    return open_dataset("rgbnt201", roots, Silent())


@pytest.fixture(scope="module")
def vehicles(roots: Path) -> DatasetIndex:
    return open_dataset("rgbnt100", roots, Silent())


def _run(
    target: DatasetIndex, folder: Path, *sources: DatasetIndex, method: str = "single-classifier", **flags: Any
) -> Run:
    weights = flags.pop("weights", None)
    request = Request((method,), "tiny", (), Overrides(flags={**FLAGS, **flags}), weights, sources)
    (run,) = plan_runs(request, [target], Store(folder))
    return run


def _measured(run: Run) -> Record:
    (outcome,) = execute([(run, plan_cells(run, resolve(["RNT-to-RNT"])))], Means(torch.device("cpu"), Silent()))
    assert outcome.record is not None, outcome.error
    return outcome.record


def test_keys_and_places_name_the_sources(
    planted: DatasetIndex, persons: DatasetIndex, vehicles: DatasetIndex, folder: Path
) -> None:
    plain, one, two = (_run(planted, folder, *s) for s in ((), (persons,), (persons, vehicles)))
    assert len({run.run_key for run in (plain, one, two)}) == len({run.config_key for run in (plain, one, two)}) == 3
    assert plain.id.folder_name.startswith("msvr310-single-classifier-tiny-")
    assert two.id.folder_name.startswith("msvr310-from-rgbnt201+rgbnt100-single-classifier-tiny-")
    assert two.training_folder.path.name.startswith("msvr310-from-rgbnt201+rgbnt100-single-classifier-s")
    assert two.title == "Single classifier on RGBNT201 + RGBNT100 → MSVR310, seed 1111"
    off = _run(planted, folder, persons, source_cameras="off")
    assert off.training_key != one.training_key
    # What is said of sources changes nothing where there are none, nor where nothing is trained.
    assert _run(planted, folder, source_cameras="off").run_key == plain.run_key
    untrained = [_run(planted, folder, *sources, method="random") for sources in ((), (persons,))]
    assert untrained[0].run_key == untrained[1].run_key
    table = plan_table([(run, plan_cells(run, resolve(["R-to-N"]))) for run in (plain, two)])
    assert table.columns[1].title == "source"
    assert [row[1] for row in table.rows] == ["—", "RGBNT201 + RGBNT100"]


def test_a_split_of_the_target_is_a_repetition_whatever_the_source(
    planted: DatasetIndex, persons: DatasetIndex, vehicles: DatasetIndex, folder: Path
) -> None:
    halves = [replace(planted, split=name, test_fingerprint=name * 32) for name in "ab"]
    runs = [_run(half, folder, source) for source in (persons, vehicles) for half in halves]
    assert len({run.run_key for run in runs}) == 4
    assert [run.config_key for run in runs] == [runs[0].config_key] * 2 + [runs[2].config_key] * 2
    assert runs[0].config_key != runs[2].config_key


def test_records_and_weights_name_the_source_and_load_again(
    planted: DatasetIndex, persons: DatasetIndex, folder: Path
) -> None:
    run = _run(planted, folder, persons)
    record = _measured(run)
    assert (record.dataset, record.sources, record.source_cameras) == ("msvr310", ("rgbnt201",), "mean")
    assert record.train_fingerprint == persons.train_fingerprint
    assert record.data_kind == "real"
    told = own_facts(run.training_folder.weights)
    assert told is not None
    assert (told.dataset, told.sources, told.source_cameras) == ("msvr310", ("rgbnt201",), "mean")
    assert (told.identities, told.cameras) == (persons.train.identities, 8 + 4)
    method, config = load_trained(run.store.folder(run.id))
    assert config.sources == ("rgbnt201",)
    tensors, _ = read(run.training_folder.weights)
    assert all(torch.equal(value, tensors[name]) for name, value in method.state_dict().items())
    again = _measured(_run(planted, folder / "again", weights=run.training_folder.weights))
    assert (again.metrics, again.sources, again.source_cameras) == (record.metrics, record.sources, "mean")
    plain = _measured(_run(planted, folder))
    assert (plain.sources, plain.source_cameras) == ((), None)


@pytest.mark.parametrize("choice", ["mean", "none", "off"])
def test_cameras_of_the_target_have_the_vectors_that_were_chosen(
    choice: str, planted: DatasetIndex, persons: DatasetIndex, folder: Path
) -> None:
    run = _run(planted, folder, persons, source_cameras=choice)
    where = (run.training_folder, torch.device("cpu"), Silent())
    Trainer(run.build(), planted, run.config, *where, stage=run.stage).run()
    table = read(run.training_folder.weights)[0]["trunk.camera"]
    target, source = table[: planted.card.cameras], table[planted.card.cameras :]
    trained = source[np.unique(persons.train.labels.camera)]
    if choice == "mean":
        torch.testing.assert_close(target, trained.mean(dim=0).expand_as(target))
        assert target.abs().max() > 0
    else:
        assert not target.any()
    assert bool(trained.any()) == (choice != "off")


def test_nothing_of_the_target_but_its_images_is_looked_at(
    planted: DatasetIndex, persons: DatasetIndex, folder: Path
) -> None:
    labels = planted.train.labels
    turned = replace(planted.train, labels=replace(labels, identity=labels.identity[::-1].copy()))
    ends = []
    for name, target in (("a", planted), ("b", replace(planted, train=turned)), ("c", _without_training(planted))):
        run = _run(target, folder / name, persons)
        where = (run.training_folder, torch.device("cpu"), Silent())
        Trainer(run.build(), target, run.config, *where, stage=run.stage).run()
        ends.append(run.training_folder.weights.read_bytes())
    assert ends[0] == ends[1] == ends[2]


def _without_training(index: DatasetIndex) -> DatasetIndex:
    return replace(index, train=index.train.take([]))


def test_generated_sources_mark_what_was_trained_on_them(
    planted: DatasetIndex, persons: DatasetIndex, folder: Path
) -> None:
    counted = {str(Kind.SIZE): 2}
    drawn = replace(persons, synthetic=True, findings=counted)
    run = _run(replace(planted, findings={str(Kind.SIZE): 1, str(Kind.POSITIVE): 3}), folder, drawn)
    record = _measured(run)
    assert record.data_kind == "synthetic"
    assert record.data_findings == {Kind.SIZE: 3, Kind.POSITIVE: 3}
    told = own_facts(run.training_folder.weights)
    assert told is not None
    assert told.synthetic


def test_what_cannot_be_a_source_is_refused(planted: DatasetIndex, persons: DatasetIndex, roots: Path) -> None:
    with pytest.raises(UsageError, match="The --source MSVR310 is the dataset itself"):
        _run(planted, roots, planted)
    lacking = replace(persons, card=replace(persons.card, sensors=RNT & ~RNT.parse("N")))
    with pytest.raises(
        UsageError, match="The --source RGBNT201 has no N, which MSVR310 has; name a source that has RNT"
    ):
        _run(planted, roots, lacking)
    (roots / "RGBNT201" / LIST).write_text("0 1 258")
    other = open_dataset("rgbnt201-141-60", roots, Silent())
    with pytest.raises(UsageError, match=r"The source RGBNT201 and RGBNT201-141-60 are both /.*--source-root"):
        _run(other, roots, persons)
    # A source may have more sensors than the target; what they have in common is trained on.
    narrow = replace(planted, card=replace(planted.card, sensors=RNT.parse("RT"), default_protocols=()))
    assert Stage.of(_run(narrow, roots, persons).method.card, narrow, (persons,)).sensors == RNT.parse("RT")


def _command(root: Path, *arguments: str) -> Any:
    env = environment(MDREID_CACHE=str(root.parent / "cache"), COLUMNS="250")
    return in_process(*arguments, "--data-root", str(root), env=env)


def test_images_in_both_are_said_and_noted(roots: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(roots, data)
    copied = sorted((data / "RGBNT201/train_171/RGB").iterdir())[0]
    first = sorted((data / "MSVR310/bounding_box_test").rglob("vis/*.jpg"))[0]
    shutil.copyfile(copied, first)
    for query in (data / "MSVR310/query3").rglob(first.name):
        if query.parent.name == "vis":
            shutil.copyfile(copied, query)
    target, source = (open_dataset(name, data, Silent()) for name in ("msvr310", "rgbnt201"))
    shared = shared_images(Contents.of(target), Contents.of(source))
    assert shared is not None
    assert (shared.images, shared.identities) == (1, 1)
    said = "MSVR310 has 1 image of 1 identity in common with its source RGBNT201, such as bounding_box_test/"
    assert shared.sentence.startswith(said)
    assert shared_images(Contents.of(source), Contents.of(open_dataset("rgbnt100", data, Silent()))) is None
    assert _measured(_run(target, tmp_path / "results", source)).data_findings[SHARED] == 1
    checked = _command(data, "check", "--dataset", "msvr310", "--source", "rgbnt201", "--json")
    assert said in checked.stderr
    (found,) = json.loads(checked.stdout)["shared"]
    assert (found["source"], found["images"]) == ("RGBNT201", 1)  # that the query has it too makes no two
    planned = _command(data, "run", "--dataset", "msvr310", "--source", "rgbnt201", "--preset", "tiny", "--dry-run")
    assert (planned.returncode, said in planned.stderr) == (0, True)


def test_the_command_line_takes_sources(roots: Path, tmp_path: Path) -> None:
    write_marker(roots / "RGBNT100", Marker(dataset="rgbnt100", scale="tiny", seed=0))
    elsewhere = tmp_path / "sources"
    elsewhere.mkdir()
    shutil.copytree(roots / "RGBNT100", elsewhere / "RGBNT100")
    common = ("--dataset", "msvr310", "--source", "rgbnt100", "--dry-run", "--results", str(tmp_path / "results"))
    done = _command(roots, "run", *common, "--source-root", str(elsewhere), "--method", "mdreid")
    assert done.returncode == 0, done.stderr
    assert f"RGBNT100: synthetic images from {elsewhere}" in done.stderr
    assert "Preset: tiny, because the data are synthetic" in done.stderr
    assert "RGBNT100" in done.stdout.split()
    study = _command(roots, "ablate", *common)
    assert study.returncode == 0, study.stderr
    assert study.stdout.count("msvr310-from-rgbnt100-mdreid-tiny") == 4
    for wrong, sentence in (
        (("--source", "msvr310"), "The --source MSVR310 is the dataset itself"),
        (("--source-root", str(elsewhere)), "--source-root and --source-cameras go with --source; add it"),
        (("--source", "rgbnt100", "--set", "sources=[a]"), "'sources' is set by --source, not by --set"),
        (("--source", "rgbnt100", "--source-cameras", "each"), "Unknown value of --source-cameras 'each'"),
        (("--source", "rgbnt100", "--weights", "w.safetensors"), "--weights trains nothing, so --source has no use"),
    ):
        refused = _command(roots, "run", "--dataset", "msvr310", "--method", "mdreid", "--dry-run", *wrong)
        assert refused.returncode == 2
        assert sentence in refused.stderr.splitlines()[-1]
