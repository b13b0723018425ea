"""Runs on given weights: what they fix, what stays open, and what is a run of its own."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mdreid_bench.config.resolve import Overrides
from mdreid_bench.data.index import DatasetIndex
from mdreid_bench.errors import UsageError
from mdreid_bench.models.method import DataFacts
from mdreid_bench.results.store import RunFolder, Store
from mdreid_bench.runs.plan import Request, plan_runs
from mdreid_bench.runs.run import Run
from mdreid_bench.weights.trained_method import load_trained
from protocols.modality import RNT, subsets
from tests.runs.test_execute import _execute, _runs
from tests.support import FLAGS, images
from tests.weights.checkpoints import random_state


def planned(index: DatasetIndex, method: str, weights: Path, root: Path, *assignments: str) -> Run:
    overrides = Overrides(assignments=assignments, flags={"image": FLAGS["image"]} if method == "mdreid" else {})
    request = Request([method], "paper", (), overrides, weights)
    (run,) = plan_runs(request, [index], Store(root))
    return run


@pytest.fixture
def trained(planted: DatasetIndex, folder: Path) -> Path:
    run = _runs(planted, folder, methods=("mdreid",))[0]
    _execute(run, "R-to-R")
    return run.training_folder.weights


def test_weights_bring_their_own_trunk_image_and_options(
    planted: DatasetIndex, trained: Path, tmp_path: Path
) -> None:
    run = planned(planted, "mdreid", trained, tmp_path)
    assert (run.config.trunk.name, run.config.image_size) == ("mdreid-tiny", (32, 48))
    assert run.facts == DataFacts(planted.train.identities, planted.card.cameras)
    assert run.trunk_label == "mdreid-tiny/weights.safetensors"
    for assignment in ("trunk.name=ViT-B-16-quickgelu", "options.shared_weight=1", "image.mean=0.4"):
        with pytest.raises(UsageError, match=assignment.partition("=")[0].replace(".", r"\.")):
            planned(planted, "mdreid", trained, tmp_path, assignment)


def test_a_run_on_given_weights_can_be_loaded_again(planted: DatasetIndex, trained: Path, tmp_path: Path) -> None:
    run = planned(planted, "mdreid", trained, tmp_path)
    (record,) = _execute(run, "R-to-R")
    assert record.selection == "last-epoch"
    method, config = load_trained(run.store.folder(run.id))
    assert config.image_size == (32, 48)
    original, _ = load_trained(_folder_of(planted, trained))
    camera = torch.tensor([0, 1])
    found, wanted = (m.embed_all(images(2), camera, subsets(RNT)) for m in (method, original))
    assert all(torch.equal(found[subset], wanted[subset]) for subset in subsets(RNT))


def _folder_of(index: DatasetIndex, weights: Path) -> RunFolder:
    run = _runs(index, weights.parents[2], methods=("mdreid",))[0]
    return run.store.folder(run.id)


def test_what_weights_leave_open_makes_another_run(planted: DatasetIndex, tmp_path: Path) -> None:
    torch.save(random_state("editor", blocks=1, cameras=8, dtype=torch.float16), tmp_path / "editor.pth")

    def key(*assignments: str) -> str:
        return planned(planted, "editor", tmp_path / "editor.pth", tmp_path, *assignments).run_key

    assert key() == key()
    assert len({key(), key("options.head_keep=3"), key("image.mean=0.4"), key("options.missing=zero_feature")}) == 4


def test_weights_of_another_file_make_another_run(planted: DatasetIndex, trained: Path, tmp_path: Path) -> None:
    run = planned(planted, "mdreid", trained, tmp_path)
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(trained.read_bytes())
    assert replace(run, weights=copy).run_key == run.run_key
    other = _runs(planted, tmp_path / "other", seeds=(9,), methods=("mdreid",))[0]
    _execute(other, "R-to-R")
    assert planned(planted, "mdreid", other.training_folder.weights, tmp_path).run_key != run.run_key
