"""From stored embeddings to a record on disk, for the whole grid and for mixed availability."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mdreid_bench.errors import DataError
from mdreid_bench.evaluation.cells import CellScorer
from mdreid_bench.models import registry
from mdreid_bench.models.mdreid.card import CARD
from mdreid_bench.results.schema import Metrics
from mdreid_bench.results.store import read_values
from protocols.bootstrap import interval
from protocols.chance import chance
from protocols.evaluation import AveragePrecision, PerQuery, evaluate
from protocols.mixed import MixedAvailability
from protocols.modality import RNT, D, Modality, R
from protocols.protocol import ALL_PROTOCOLS, Protocol, Side
from protocols.ranking import rank
from protocols.suites import Setting
from tests.evaluation.stored import Stored, store

SETTINGS: tuple[Setting, ...] = (*ALL_PROTOCOLS, MixedAvailability(), MixedAvailability(0.3, 1))
FORMS: tuple[AveragePrecision, ...] = ("standard", "trapezoid")


def by_hand(stored: Stored, setting: Setting, form: AveragePrecision) -> PerQuery:
    """Score item by item, each from the matrix of its own subset; the values are integers, so nothing is rounded."""
    items = stored.items

    def vectors(side: Side) -> list[np.ndarray[tuple[int], np.dtype[np.float32]]]:
        rows = getattr(items, side)
        codes = setting.subsets(side, [str(items.names[row]) for row in rows])
        return [stored.matrices[Modality(int(code))][row] for row, code in zip(rows, codes, strict=True)]

    scores = np.array([[float(q @ g) for g in vectors("gallery")] for q in vectors("query")])
    ranking = rank(scores, items.labels.take(items.query), items.labels.take(items.gallery), stored.table.exclusion)
    return evaluate(ranking, form)


@pytest.mark.parametrize("form", FORMS)
def test_every_setting_scores_as_by_hand(tmp_path: Path, form: AveragePrecision) -> None:
    stored = store(tmp_path)
    scorer = CellScorer(stored.facts, stored.scope, form)
    identity = stored.items.labels.identity[stored.items.query]
    for setting in SETTINGS:
        record = scorer(stored.table, setting)
        expected = by_hand(stored, setting, form)
        assert record.metrics == Metrics.of(expected.summary())
        assert record.chance == Metrics.of(chance(expected.positives, expected.items, form).summary())
        assert record.interval is not None
        assert record.interval.mAP == interval(expected.ap, identity)
        assert record.counts.tied_positives == int(expected.tied_positives.sum())
        values = read_values(stored.scope.record_path(str(setting), form), record)
        assert not values.trials.any()
        assert values.names.tolist() == stored.items.names[stored.items.query].tolist()
        assert np.array_equal(values.metrics.ap, expected.ap, equal_nan=True)


def test_any_memory_budget_gives_the_same_record(tmp_path: Path) -> None:
    stored = store(tmp_path)
    setting = MixedAvailability()
    records = [CellScorer(stored.facts, stored.scope, memory_budget=b)(stored.table, setting) for b in (1, 2**30)]
    assert records[0].metrics == records[1].metrics
    assert records[0].interval == records[1].interval


def test_the_record_says_what_the_run_and_the_items_say(tmp_path: Path) -> None:
    stored = store(tmp_path, limit=24, method="single-classifier", seed=5, data_kind="real")
    scorer = CellScorer(stored.facts, stored.scope, gpu="a GPU", seconds={"train": 2.0})
    record = scorer(stored.table, Protocol(R, R))
    assert (record.method, record.seed, record.data_kind, record.limit) == ("single-classifier", 5, "real", 24)
    assert record.test_fingerprint == stored.table.test_fingerprint
    assert (record.counts.gallery, record.counts.queries) == (len(stored.items.gallery), len(stored.items.query))
    assert record.provenance.gpu == "a GPU"
    assert record.provenance.phase_seconds["train"] == 2.0
    assert "score" in record.provenance.phase_seconds
    assert record.per_query == "R-to-R.npz"
    assert stored.scope.believed("R-to-R") == record


def test_the_two_forms_of_average_precision_lie_side_by_side(tmp_path: Path) -> None:
    stored = store(tmp_path)
    for form in FORMS:
        CellScorer(stored.facts, stored.scope, form)(stored.table, Protocol(R, R))
    standard, trapezoid = (stored.scope.believed("R-to-R", form) for form in FORMS)
    assert standard is not None
    assert trapezoid is not None
    assert trapezoid.metrics.mAP < standard.metrics.mAP
    assert trapezoid.metrics.rank1 == standard.metrics.rank1


def test_embeddings_that_are_not_finite_are_an_error(tmp_path: Path) -> None:
    stored = store(tmp_path)

    def broken(matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        found = matrix.copy()
        found[2, 0] = np.nan
        return found

    table = stored.changed(broken)
    with pytest.raises(DataError, match=r"R-to-R cannot be scored .* query 000 with gallery item 002 is nan"):
        CellScorer(stored.facts, stored.scope)(table, Protocol(R, R))
    assert not stored.scope.record_path("R-to-R").exists()


def test_the_comparison_is_told_the_sensors_that_the_method_was_built_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given weights may know other sensors than the data set has; vectors have a block for each of theirs."""
    told: list[tuple[bool, Modality]] = []

    def spy(options: Mapping[str, Any], sensors: Modality) -> None:
        told.append((options == stored.facts.shared.options, sensors))

    stored = store(tmp_path)
    monkeypatch.setattr(registry, "card", lambda name: dataclasses.replace(CARD, comparison=spy))
    facts = stored.facts.model_copy(update={"sensors": "RNTD"})
    CellScorer(facts, stored.scope)(stored.table, SETTINGS[0])
    assert told == [(True, RNT | D)]
