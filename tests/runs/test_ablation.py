"""Studies as data: which options make a row, and that a row is the run that ``run`` would make."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mdreid_bench.config.resolve import Overrides
from mdreid_bench.data.index import DatasetIndex
from mdreid_bench.errors import UsageError
from mdreid_bench.models.mdreid import ablation
from mdreid_bench.models.mdreid.ablation import COMPONENTS, ROWS, Study, StudyRow, check_study, row_overrides, sweep
from mdreid_bench.results.store import Store
from mdreid_bench.runs import execute
from mdreid_bench.runs.plan import Request, plan_runs
from mdreid_bench.runs.run import Run
from protocols.modality import RNT, subsets
from protocols.names import UnknownNameError
from tests.runs.test_execute import _execute
from tests.support import FLAGS


def _plan(method: str, flags: Mapping[str, Any], index: DatasetIndex, root: Path, assignments: Sequence[str]) -> Run:
    request = Request((method,), "tiny", (), Overrides(assignments=assignments, flags=dict(flags)))
    (run,) = plan_runs(request, [index], Store(root))
    return run


def _row_run(row: StudyRow, index: DatasetIndex, root: Path) -> Run:
    return _plan(row.method, row_overrides(row, FLAGS), index, root, ())


@pytest.mark.parametrize(
    ("label", "assignments"),
    [
        ("MDL", ["options.orthogonality_weight=0", "options.discrepancy_weight=0"]),
        ("MDL + ROL", ["options.discrepancy_weight=0"]),
        ("MDL + KDL", ["options.orthogonality_weight=0"]),
        ("MDL + ROL + KDL", []),
    ],
)
def test_a_row_is_the_run_with_the_same_options(
    label: str, assignments: list[str], planted: DatasetIndex, folder: Path
) -> None:
    (row,) = [row for row in ROWS.rows if row.label == label]
    found, wanted = _row_run(row, planted, folder), _plan("mdreid", FLAGS, planted, folder, assignments)
    assert (found.run_key, found.config_key, found.training_key) == (
        wanted.run_key,
        wanted.config_key,
        wanted.training_key,
    )
    assert found.overrides == wanted.overrides


def test_the_first_row_is_the_single_classifier(planted: DatasetIndex, folder: Path) -> None:
    found = _row_run(ROWS.rows[0], planted, folder)
    assert found.run_key == _plan("single-classifier", FLAGS, planted, folder, ()).run_key
    assert [row.label for row in ROWS.rows] == [
        "single classifier", "MDL", "MDL + ROL", "MDL + KDL", "MDL + ROL + KDL",
    ]  # fmt: skip


def test_rows_of_a_study_are_different_runs(planted: DatasetIndex, folder: Path) -> None:
    for study in (ROWS, COMPONENTS, sweep("w1"), sweep("w2")):
        keys = {_row_run(row, planted, folder).run_key for row in study.rows}
        assert len(keys) == len(study.rows)


def test_sweeps_have_the_values_of_the_paper() -> None:
    first, second = sweep("w1"), sweep("W2")
    assert [row.options["orthogonality_weight"] for row in first.rows] == [0.5, 1, 1.5, 2, 3]
    assert all(row.options["discrepancy_weight"] == 0 for row in first.rows)
    assert [row.options for row in second.rows] == [{"discrepancy_weight": w} for w in (4.5, 5, 5.25, 5.5, 6)]
    assert [row.label for row in second.rows] == ["w2 = 4.5", "w2 = 5", "w2 = 5.25", "w2 = 5.5", "w2 = 6"]
    assert [row.label for row in sweep("w1", (2, 0, 2)).rows] == ["w1 = 2", "w1 = 0"]
    with pytest.raises(UnknownNameError, match="w3"):
        sweep("w3")


def test_sweeps_meet_the_ablation_in_one_row_each(planted: DatasetIndex, folder: Path) -> None:
    rows = {row.label: _row_run(row, planted, folder).run_key for row in ROWS.rows}
    for name, label in (("w1", "MDL + ROL"), ("w2", "MDL + ROL + KDL")):
        keys = [_row_run(row, planted, folder).run_key for row in sweep(name).rows]
        assert set(keys) & set(rows.values()) == {rows[label]}


def test_options_reach_the_methods_that_have_them() -> None:
    user = {"seed": 3, "options": {"missing": "zero_feature", "rol": "paper", "identity_weight": 1}}
    single, mdl, *_ = ROWS.rows
    assert row_overrides(single, user) == {"seed": 3, "options": {"missing": "zero_feature", "identity_weight": 1}}
    assert row_overrides(mdl, user) == {
        "seed": 3,
        "options": {"rol": "paper", "identity_weight": 1, "orthogonality_weight": 0, "discrepancy_weight": 0},
    }
    assert row_overrides(single, {"options": {"rol": "paper"}}) == {}
    assert row_overrides(single, {"options": {"rool": 1}}) == {"options": {"rool": 1}}


@pytest.mark.parametrize(
    ("study", "options", "message"),
    [
        (ROWS, {"orthogonality_weight": 0}, r"takes away what the row 'MDL \+ ROL'"),
        (sweep("w1"), {"orthogonality_weight": 2}, "set by the rows of the sweep w1"),
        (sweep("w1"), {"discrepancy_weight": 2}, "set by the rows of the sweep w1"),
        (COMPONENTS, {"components": "shared"}, "set by the rows of the components"),
    ],
)
def test_options_that_would_make_labels_wrong_are_refused(
    study: Study, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        check_study(study, {"options": options})


@pytest.mark.parametrize(
    "options", [{"orthogonality_weight": 2}, {"components": "shared"}, {"tie_shared_token": False}]
)
def test_other_options_are_welcome(options: dict[str, Any]) -> None:
    check_study(ROWS, {"options": options})


def test_components_share_one_training_and_one_extraction(
    planted: DatasetIndex, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    specific, shared, both = (_row_run(row, planted, folder) for row in COMPONENTS.rows)
    first = _execute(specific, "RT-to-NT", "R-to-N")
    assert both.store.folder(both.id).facts.exists()

    def never(*_: object) -> None:
        raise AssertionError("done twice")

    monkeypatch.setattr(execute, "extract", never)
    monkeypatch.setattr(execute, "Trainer", never)
    assert {run.training_key for run in (specific, shared)} == {both.training_key}
    assert shared.embedded
    records = {run.config.options["components"]: _execute(run, "RT-to-NT", "R-to-N") for run in (shared, both)}
    assert [record.options["components"] for record in first] == ["specific", "specific"]
    assert [record.options["components"] for record in records["shared"]] == ["shared", "shared"]
    # Specific vectors of R and N never meet, so that every order of the gallery is as good.
    assert first[1].metrics.mAP == pytest.approx(first[1].chance.mAP)
    for subset in subsets(RNT):
        parts = [np.load(run.embeddings.matrix(subset)) for run in (specific, shared)]
        assert np.array_equal(np.concatenate(parts, axis=1), np.load(both.embeddings.matrix(subset)))


def test_the_source_of_a_run_has_facts_of_its_own(planted: DatasetIndex, folder: Path) -> None:
    given = ["options.components=shared", "options.rol=paper"]
    run = _plan("mdreid", {}, planted, folder, given)
    assert run.source is not None
    assert run.source.overrides == {"options": {"rol": "paper"}}
    assert run.source.run_key == _plan("mdreid", {}, planted, folder, given[1:]).run_key
    assert run.source.source is None


def test_methods_of_the_rows_are_registered() -> None:
    assert {row.method for row in ROWS.rows} == {ablation.MDREID, ablation.SINGLE_CLASSIFIER}


def test_nothing_is_derived_from_an_epoch_that_was_chosen_by_other_embeddings(
    planted: DatasetIndex, folder: Path
) -> None:
    given = ["options.components=shared", "selection=best-test"]
    assert _plan("mdreid", {}, planted, folder, given).source is None
