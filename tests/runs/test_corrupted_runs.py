"""Corrupted test images in a run: weights, keys and records of the clean run stay, nothing is embedded twice."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from mdreid_bench.config.resolve import Overrides
from mdreid_bench.data.index import DatasetIndex
from mdreid_bench.embedding import parts
from mdreid_bench.progress import Silent
from mdreid_bench.results.form import PLAIN, Form
from mdreid_bench.results.schema import Record
from mdreid_bench.results.store import Store
from mdreid_bench.runs import execute
from mdreid_bench.runs.execute import Means
from mdreid_bench.runs.merge import merge
from mdreid_bench.runs.outcome import plan_table
from mdreid_bench.runs.plan import Plan, Request, plan_cells, plan_runs, unembedded
from mdreid_bench.runs.run import Run
from protocols.corruption import Corruption, Sides
from protocols.suites import resolve
from tests.support import FLAGS


def a_run(index: DatasetIndex, root: Path, method: str = "random", *assignments: str) -> Run:
    overrides = Overrides(assignments=assignments, flags=FLAGS)
    (run,) = plan_runs(Request((method,), "tiny", (), overrides), [index], Store(root))
    return run


def planned(run: Run, protocols: Sequence[str], *corruptions: Corruption) -> Plan:
    forms = (PLAIN, *(Form(corruption=corruption) for corruption in corruptions))
    return [(run, plan_cells(run, resolve(protocols), forms))]


def measured(plan: Plan) -> dict[str, Record]:
    """Carry out a plan; return the records by the name of their cell."""
    found = {}
    for outcome in execute.execute(plan, Means(torch.device("cpu"), Silent())):
        assert outcome.error is None
        if outcome.record is not None:
            found[outcome.path.stem] = outcome.record
    return found


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_clean_run_is_reused_and_untouched(planted: DatasetIndex, folder: Path) -> None:
    run = a_run(planted, folder, "single-classifier")
    measured(planned(run, ["R-to-NT"]))
    before = contents(folder)
    plan = planned(run, ["R-to-NT"], Corruption("fog-3", "query"), Corruption("fog-3", "query", repetition=1))
    assert plan_table(plan).rows[0][-2] == "extract, score"
    found = measured(plan)
    after = contents(folder)
    assert set(found) == {"R-to-NT", "R-to-NT.corrupt-fog-3.query.r0", "R-to-NT.corrupt-fog-3.query.r1"}
    kept = {name for name in before if not name.endswith("run.log")}
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
    assert {record.run_key for record in found.values()} == {run.run_key}
    clean, corrupted = (np.load(run.embeddings_of(c).path / "N.npy") for c in (None, Corruption("fog-3")))
    assert clean.shape == corrupted.shape
    assert not np.array_equal(clean, corrupted)


def test_embeddings_serve_every_side_and_nothing_is_done_twice(
    planted: DatasetIndex, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = a_run(planted, folder)
    measured(planned(run, ["R-to-NT"], Corruption("snow-5", "query")))

    def never(*_: object) -> None:
        raise AssertionError("embedded twice")

    monkeypatch.setattr(execute, "extract", never)
    sides: tuple[Sides, ...] = ("query", "gallery", "both")
    plan = planned(run, ["R-to-NT", "paper-matched"], *(Corruption("snow-5", side) for side in sides))
    assert unembedded(*plan[0]) == []
    found = measured(plan)
    assert len(found) == 2 * 4
    by_side = [found[f"RNT-to-RNT.corrupt-snow-5.{side}.r0"].metrics for side in sides]
    assert len({found["RNT-to-RNT"].metrics, *by_side}) == 4
    assert measured(plan) == found


def test_sensors_that_are_not_corrupted_keep_their_embeddings(planted: DatasetIndex, folder: Path) -> None:
    run, spec = a_run(planted, folder), Corruption("contrast-5", sensors="R")
    plan = planned(run, ["R-to-N", "N-to-T", "T-to-R"], spec, Corruption("contrast-5", "query", sensors="R"))
    reasons = {cell.form.cell(str(cell.setting)): cell.why_not for cell in plan[0][1]}
    assert reasons == {
        **dict.fromkeys(("R-to-N", "N-to-T", "T-to-R"), None),
        **dict.fromkeys(("R-to-N.corrupt-contrast-5.R.both.r0", "R-to-N.corrupt-contrast-5.R.query.r0"), None),
        "T-to-R.corrupt-contrast-5.R.both.r0": None,
        "T-to-R.corrupt-contrast-5.R.query.r0": "no image of R is to be corrupted on the side of the queries",
        "N-to-T.corrupt-contrast-5.R.both.r0": "no image of R is to be corrupted on either side",
        "N-to-T.corrupt-contrast-5.R.query.r0": "no image of R is to be corrupted on the side of the queries",
    }
    measured(plan)
    pairs = [
        [np.load(run.embeddings_of(c).path / f"{subset}.npy") for c in (None, spec)] for subset in ("R", "N", "RN")
    ]
    assert [bool(np.array_equal(*pair)) for pair in pairs] == [False, True, False]


def test_an_interrupted_extraction_of_corrupted_images_goes_on(
    planted: DatasetIndex, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "PART_SECONDS", 0.0)
    spec, small = Corruption("random"), ("evaluation.batch_size=4",)
    whole = a_run(planted, tmp_path / "whole", "random", *small)
    measured(planned(whole, ["R-to-NT"], spec))
    run = a_run(planted, folder, "random", *small)
    measured(planned(run, ["R-to-NT"]))
    with monkeypatch.context() as patch:
        patch.setattr(parts.Parts, "join", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            list(execute.execute(planned(run, ["R-to-NT"], spec), Means(torch.device("cpu"), Silent())))
    left = sorted(run.embeddings_of(spec).parts.iterdir())
    assert len(left) > 2
    left[-1].unlink()
    measured(planned(run, ["R-to-NT"], spec))
    for subset in ("R", "RNT"):
        matrices = [np.load(one.embeddings_of(spec).path / f"{subset}.npy") for one in (run, whole)]
        assert np.array_equal(*matrices)
    assert not run.embeddings_of(spec).parts.exists()


def test_every_repetition_has_embeddings_of_its_own(planted: DatasetIndex, folder: Path) -> None:
    run = a_run(planted, folder)
    found = measured(planned(run, ["R-to-N"], *(Corruption("fog-5", repetition=n) for n in range(3))))
    folders = [run.embeddings_of(Corruption("fog-5", repetition=n)).path for n in range(3)]
    matrices = {np.load(path / "R.npy").tobytes() for path in folders}
    assert len(matrices) == 3
    assert len({record.metrics for record in found.values()}) == 4


def test_what_is_derived_is_derived_from_corrupted_embeddings(planted: DatasetIndex, folder: Path) -> None:
    spec = Corruption("gaussian_noise-5")
    both = a_run(planted, folder, "mdreid")
    shared = a_run(planted, folder, "mdreid", "options.components=shared")
    assert shared.source is not None
    measured([*planned(both, ["R-to-NT"], spec), *planned(shared, ["R-to-NT"], spec)])
    clean, corrupted, source = (
        np.load(one.embeddings_of(c).path / "R.npy") for one, c in ((shared, None), (shared, spec), (both, spec))
    )
    assert clean.shape == corrupted.shape
    assert not np.array_equal(clean, corrupted)
    width = corrupted.shape[1]
    assert any(np.array_equal(corrupted, source[:, start : start + width]) for start in (0, source.shape[1] - width))


def test_corrupted_results_are_merged(planted: DatasetIndex, folder: Path, tmp_path: Path) -> None:
    run, target = a_run(planted, folder), Store(tmp_path / "target")
    measured(planned(run, ["R-to-NT"], Corruption("fog-3")))
    merge([folder], target, Silent())
    there = {path.parent.name for path in target.root.rglob("items.npz")}
    assert there == {"embeddings", "embeddings.fog-3.r0"}
    assert len([record for _, record in target.records() if isinstance(record, Record)]) == 2
    again = plan_runs(Request(("random",), "tiny", (), Overrides(flags=FLAGS)), [planted], target)[0]
    assert [cell.state for cell in planned(again, ["R-to-NT"], Corruption("fog-3"))[0][1]] == ["cached", "cached"]
