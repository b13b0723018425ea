"""Runs: nothing is done twice, keys follow what determines the numbers, stored embeddings are checked."""

import hashlib
from dataclasses import replace
from pathlib import Path
from traceback import walk_stack

import numpy as np
import pytest
import torch
from torch import Tensor

from baselines.random_scorer import RandomScorer
from mdreid_bench.config.resolve import Overrides
from mdreid_bench.data.index import DatasetIndex
from mdreid_bench.errors import DataError, UsageError
from mdreid_bench.models.method import Encoded
from mdreid_bench.models.weights_path import local_weights
from mdreid_bench.progress import Silent
from mdreid_bench.results.schema import Record
from mdreid_bench.results.store import Store
from mdreid_bench.runs import execute
from mdreid_bench.runs.execute import Means
from mdreid_bench.runs.plan import Request, plan_cells, plan_runs
from mdreid_bench.runs.run import Run
from protocols.modality import RNT, Modality
from protocols.protocol import protocols_of
from protocols.suites import resolve
from tests.cli.running import in_process
from tests.support import FLAGS


def _runs(
    index: DatasetIndex,
    root: Path,
    assignments: tuple[str, ...] = (),
    seeds: tuple[int, ...] = (),
    methods: tuple[str, ...] = ("mdreid", "single-classifier"),
) -> list[Run]:
    request = Request(
        methods=methods,
        preset="tiny",
        seeds=seeds,
        overrides=Overrides(assignments=assignments, flags=FLAGS),
    )
    return plan_runs(request, [index], Store(root))


def _execute(run: Run, *protocols: str) -> list[Record]:
    means = Means(torch.device("cpu"), Silent())
    outcomes = list(execute.execute([(run, plan_cells(run, resolve(protocols)))], means))
    for outcome in outcomes:
        if outcome.error is not None:
            raise outcome.error
    return [outcome.record for outcome in outcomes if outcome.record is not None]


def test_second_run_neither_trains_nor_extracts(
    planted: DatasetIndex, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = _runs(planted, folder)[0]
    first = _execute(run, "R-to-NT")

    def never(*_: object) -> None:
        raise AssertionError("done twice")

    monkeypatch.setattr(execute, "extract", never)
    monkeypatch.setattr(execute, "Trainer", never)
    again = _execute(run, "R-to-NT", "all")
    kept = next(record for record in again if record.protocol == "R-to-NT")
    assert (kept.metrics, kept.provenance) == (first[0].metrics, first[0].provenance)
    assert {r.protocol for r in again} == {str(p) for p in protocols_of(RNT)}
    assert len(list(run.scope.path.glob("*.json"))) == 49


class _Centred(RandomScorer):
    """A plug-in, since it is of another package, whose vectors depend on the batch."""

    def embed(self, encoded: Encoded, available: Modality) -> Tensor:
        vectors = super().embed(encoded, available)
        return vectors - vectors.mean(0)


def test_a_plug_in_whose_vectors_depend_on_the_batch_is_named_before_anything_is_extracted(
    planted: DatasetIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (run,) = _runs(planted, tmp_path, methods=("random",))
    monkeypatch.setattr("mdreid_bench.models.registry.get", lambda name: _Centred)
    with pytest.raises(
        UsageError, match="random of the package tests breaks its contract: for R it returned another"
    ):
        _execute(run, "R-to-NT")
    assert not run.embedded


class _ReachedError(Exception):
    pass


def test_few_frames_lie_between_the_command_and_a_loss(
    planted: DatasetIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames: list[str] = []

    def loss(*_: object) -> None:
        own = (frame for frame, _ in walk_stack(None) if "/mdreid_bench/" in frame.f_code.co_filename)
        frames.extend(f"{Path(frame.f_code.co_filename).name}:{frame.f_code.co_name}" for frame in own)
        raise _ReachedError

    monkeypatch.setattr("baselines.single_classifier.soft_margin_triplet", loss)
    small = ("--set", "trunk.pretrained=null", "--batch-size", "4", "--set", "batch.instances=2", "--preset", "tiny")
    places = ("--data-root", str(planted.root.parent), "--results", str(tmp_path / "r"), "--device", "cpu")
    command = ("run", "--dataset", "msvr310", "--method", "single-classifier", *small, *places)
    in_process(*command, env={"MDREID_CACHE": str(tmp_path)})
    frames = frames[: frames.index("run_command.py:run") + 1]
    assert len(frames) <= 13, frames


def test_images_on_both_sides_are_extracted_once(planted: DatasetIndex) -> None:
    assert (
        len(planted.test.query) + len(planted.test.gallery) > len(planted.test) == len(np.unique(planted.test.names))
    )


def test_keys(planted: DatasetIndex, folder: Path) -> None:
    base, single = _runs(planted, folder)
    assert base.run_key != single.run_key
    assert _runs(planted, folder)[0].run_key == base.run_key
    assert _runs(planted, folder, ("data.workers=3",))[0].run_key == base.run_key
    assert _runs(planted, folder, ("augment.flip=0.3",))[0].training_key != base.training_key
    other_seed = _runs(planted, folder, seeds=(7,))[0]
    assert other_seed.run_key != base.run_key
    assert other_seed.config_key == base.config_key
    assert [run.config.seed for run in _runs(planted, folder, seeds=(7, 7, 8, 7))] == [7, 8, 7, 8]
    other_data = replace(planted, train_fingerprint="0" * 32)
    assert _runs(other_data, folder)[0].training_key != base.training_key
    limited = planted.limited(len(planted.test) - 1)
    assert _runs(limited, folder)[0].run_key == base.run_key


def test_evaluation_options_share_the_training(planted: DatasetIndex, folder: Path) -> None:
    forms = ("paper", "released")
    paper, released = (
        _runs(planted, folder, (f"options.similarity={form}",), methods=("mdreid",))[0] for form in forms
    )
    assert paper.training_key == released.training_key
    assert paper.run_key != released.run_key


def test_options_that_came_later_are_part_of_the_keys_where_they_change_something(
    planted: DatasetIndex, folder: Path
) -> None:
    plain, explicit, other = (
        _runs(planted, folder, given, methods=("mdreid",))[0]
        for given in ((), ("options.token_rate=trunk",), ("options.token_rate=base",))
    )
    assert plain.run_key == explicit.run_key != other.run_key
    before = plain.config.options.keys() - plain.method.card.later_options.keys()
    without = plain.config.model_copy(update={"options": {name: plain.config.options[name] for name in before}})
    assert replace(plain, config=without).run_key == plain.run_key


def test_weights_are_evaluated_without_training(planted: DatasetIndex, folder: Path, tmp_path: Path) -> None:
    trained = _runs(planted, folder)[0]
    (wanted,) = _execute(trained, "RNT-to-RNT")
    given = replace(trained, weights=trained.training_folder.weights, store=Store(tmp_path / "other"))
    (found,) = _execute(given, "RNT-to-RNT")
    assert found.metrics == wanted.metrics
    assert found.selection == "last-epoch"
    assert not given.training_folder.path.exists()


def test_record_says_where_it_comes_from(planted: DatasetIndex, folder: Path) -> None:
    run = _runs(planted, folder)[0]
    (record,) = _execute(run, "mixed")
    assert record.protocol == "mixed-0.5-s0"
    assert (record.selection, record.data_kind, record.trunk) == ("last-epoch", "real", "mdreid-tiny/random")
    assert record.trunk_digest is None
    assert record.counts.queries + record.counts.queries_without_positive == len(planted.test.query)
    assert record.interval is not None
    assert record.interval.mAP[0] <= record.metrics.mAP <= record.interval.mAP[1]
    assert set(record.provenance.phase_seconds) == {"train", "extract", "score"}
    assert run.store.folder(run.id).config.exists()


def test_record_says_which_file_of_weights_its_trunk_started_from(planted: DatasetIndex, folder: Path) -> None:
    (run,) = plan_runs(Request(("clip-zero-shot",), "tiny", (1,), Overrides()), [planted], Store(folder))
    (record,) = _execute(run, "R-to-N")
    file = local_weights(run.config.trunk)
    assert file is not None
    assert record.trunk == "mdreid-tiny/synthetic"
    assert record.trunk_digest == hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.mark.parametrize("victim", ["R.npy", "items.npz"])
def test_damaged_embeddings_are_named(planted: DatasetIndex, folder: Path, victim: str) -> None:
    run = _runs(planted, folder)[0]
    _execute(run, "R-to-NT")
    path = run.embeddings.path / victim
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(DataError, match=victim):
        _execute(run, "R-to-R")


def test_an_edited_record_is_measured_again(planted: DatasetIndex, folder: Path) -> None:
    run = _runs(planted, folder)[0]
    (record,) = _execute(run, "R-to-NT")
    path = run.scope.record_path("R-to-NT")
    path.write_text(path.read_text().replace('"mAP"', '"map"'))
    (again,) = _execute(run, "R-to-NT")
    assert again.metrics == record.metrics


def test_batch_size_of_the_extraction_changes_nothing(planted: DatasetIndex, tmp_path: Path) -> None:
    matrices = []
    for size in (1, 5):
        run = _runs(planted, tmp_path / str(size), (f"evaluation.batch_size={size}",))[0]
        _execute(run, "R-to-NT")
        matrices.append(np.load(run.embeddings.path / "RNT.npy"))
    assert np.abs(matrices[0] - matrices[1]).max() < 1e-6
