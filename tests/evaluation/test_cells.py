"""From stored embeddings to a record on disk, for the whole grid and for mixed availability."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mdreid_bench.data import registry as datasets
from mdreid_bench.data.dataset import Dataset
from mdreid_bench.data.datasets.msvr310 import MSVR310
from mdreid_bench.data.items import Items
from mdreid_bench.embedding.stored import EmbeddingFolder
from mdreid_bench.errors import DataError
from mdreid_bench.evaluation.cells import CellScorer, trials_of
from mdreid_bench.models import registry
from mdreid_bench.models.mdreid.card import CARD
from mdreid_bench.results.calibration import StoredCalibration
from mdreid_bench.results.form import Form
from mdreid_bench.results.schema import Metrics
from mdreid_bench.results.store import RunFolder, read_values
from protocols.bootstrap import interval
from protocols.calibration import Calibration
from protocols.chance import chance
from protocols.corruption import Corruption, Sides
from protocols.evaluation import AveragePrecision, PerQuery, evaluate
from protocols.exclusion import Exclusion
from protocols.mixed import MixedAvailability
from protocols.modality import RNT, D, Modality, N, R, T, subsets
from protocols.pooled import PooledGallery
from protocols.protocol import Protocol, Side, protocols_of
from protocols.ranking import rank, rank_embeddings
from protocols.reranking import Reranking
from protocols.rivals import Rivals
from protocols.suites import Setting
from protocols.trial import Trial
from tests.evaluation.stored import Stored, store

SETTINGS: tuple[Setting, ...] = (*protocols_of(RNT), MixedAvailability(), MixedAvailability(0.3, 1))
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
    scorer = CellScorer(stored.facts, stored.scope, Form(form))
    identity = stored.items.labels.identity[stored.items.query]
    for setting in SETTINGS:
        record = scorer(stored.table, setting)
        expected = by_hand(stored, setting, form)
        assert record.metrics == Metrics.of(expected.summary())
        assert record.chance == Metrics.of(chance(expected.positives, expected.items, form).summary())
        assert record.interval is not None
        assert record.interval.mAP == interval(expected.ap, identity)
        assert record.counts.tied_positives == int(expected.tied_positives.sum())
        values = read_values(stored.scope.record_path(str(setting), Form(form)), record)
        assert not values.trials.any()
        assert values.names.tolist() == stored.items.names[stored.items.query].tolist()
        assert np.array_equal(values.metrics.ap, expected.ap, equal_nan=True)


def test_a_pooled_gallery_scores_as_by_hand(tmp_path: Path) -> None:
    stored = store(tmp_path)
    record = CellScorer(stored.facts, stored.scope)(stored.table, PooledGallery(N))
    items, labels = stored.items, stored.items.labels
    images = [(row, sensor) for row in items.gallery for sensor in RNT]
    scores = np.array(
        [[float(stored.matrices[N][q] @ stored.matrices[sensor][row]) for row, sensor in images] for q in items.query]
    )
    elsewhere = Exclusion("camera", tuple((camera, camera) for camera in range(3)))
    sides = labels.take(items.query), labels.take([row for row, _ in images])
    expected = evaluate(rank(scores, *sides, elsewhere))
    assert record.metrics == Metrics.of(expected.summary())
    assert record.chance == Metrics.of(chance(expected.positives, expected.items).summary())
    assert record.interval is not None
    assert record.interval.mAP == interval(expected.ap, labels.identity[items.query])
    assert record.counts.gallery == len(images)


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
        CellScorer(stored.facts, stored.scope, Form(form))(stored.table, Protocol(R, R))
    standard, trapezoid = (stored.scope.believed("R-to-R", Form(form)) for form in FORMS)
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


def test_re_ranked_scores_are_those_of_the_ranking_and_say_so(tmp_path: Path) -> None:
    stored, setting, parameters = store(tmp_path), Protocol.parse("R-to-NT"), Reranking(4, 2, 0.3)
    plain, reranked = (CellScorer(stored.facts, stored.scope, Form(reranking=r)) for r in (None, parameters))
    before = plain(stored.table, setting)
    record = reranked(stored.table, setting)
    items = stored.items
    sides = stored.matrices[R][items.query], stored.matrices[N | T][items.gallery]
    labels = items.labels.take(items.query), items.labels.take(items.gallery)
    expected = evaluate(rank_embeddings(*sides, *labels, stored.table.exclusion, reranking=parameters))
    assert record.metrics == Metrics.of(expected.summary())
    assert record.metrics != before.metrics
    assert (before.rerank, record.rerank) == (None, "4-2-0.3")
    assert (stored.scope.path / "R-to-NT.rerank-4-2-0.3.json").exists()
    assert stored.scope.believed("R-to-NT") == before
    assert stored.scope.believed("R-to-NT", reranked.form) == record


def test_calibrated_scores_are_those_of_the_stored_calibration(tmp_path: Path) -> None:
    stored, form, setting = store(tmp_path), Form(calibration="standardised"), MixedAvailability()
    scorer, rng = CellScorer(stored.facts, stored.scope, form), np.random.default_rng(3)
    place = RunFolder(stored.scope.path.parent).calibration
    with pytest.raises(DataError, match=r"There is no .*calibration\.json; .* --calibration standardised"):
        scorer(stored.table, setting)
    training = {subset: rng.integers(3, size=(20, 6)).astype(np.float32) / len(subset) for subset in subsets(RNT)}
    found = Calibration.estimate(training, rng.integers(4, size=20))
    StoredCalibration.of(found, "others", 20).write(place)
    with pytest.raises(DataError, match="other weights"):
        scorer(stored.table, setting)
    StoredCalibration.of(found, stored.table.weights, 20).write(place)
    items = stored.items
    sides: list[tuple[NDArray[np.int64], Side]] = [(items.query, "query"), (items.gallery, "gallery")]
    codes = [setting.subsets(side, items.names[rows].tolist()) for rows, side in sides]
    asked, offered = (
        [stored.matrices[Modality(int(code))][row] for row, code in zip(rows, own, strict=True)]
        for (rows, _), own in zip(sides, codes, strict=True)
    )
    scores = np.array([[float(q @ g) for g in offered] for q in asked])
    for row, column in np.ndindex(scores.shape):
        mean, spread = found.pairs[Modality(int(codes[0][row])), Modality(int(codes[1][column]))]
        scores[row, column] = (scores[row, column] - mean) / spread
    labels = items.labels.take(items.query), items.labels.take(items.gallery)
    expected = evaluate(rank(scores, *labels, stored.table.exclusion))
    record = scorer(stored.table, setting)
    assert record.metrics == Metrics.of(expected.summary())
    assert record.chance == Metrics.of(chance(expected.positives, expected.items).summary())
    assert record.calibration == "standardised"
    plain = CellScorer(stored.facts, stored.scope)(stored.table, setting)
    assert plain.metrics != record.metrics
    assert stored.scope.believed("mixed-0.5-s0", form) == record
    assert stored.scope.believed("mixed-0.5-s0") == plain
    assert (stored.scope.path / "mixed-0.5-s0.standardised.json").exists()


@pytest.mark.parametrize("setting", protocols_of(RNT)[::5], ids=str)
def test_a_calibration_changes_no_pure_protocol(tmp_path: Path, setting: Protocol) -> None:
    stored = store(tmp_path)
    stored.calibrate()
    plain, calibrated = (
        CellScorer(stored.facts, stored.scope, form)(stored.table, setting)
        for form in (Form(), Form(calibration="standardised"))
    )
    for name in ("metrics", "interval", "chance", "counts", "run_key"):
        assert getattr(plain, name) == getattr(calibrated, name)


STEPS = (1, 2, 5)


class Drawn(Dataset):
    """MSVR310 as it would be with three drawn galleries."""

    card, roles, sensors, grammar = (getattr(MSVR310, name) for name in ("card", "roles", "sensors", "grammar"))

    def labels(self, match: re.Match[str]) -> tuple[int, int, int]:
        raise NotImplementedError

    def trials(self, items: Items, setting: Setting) -> tuple[Trial, ...]:
        """Return three trials: all queries, and every first, second or fifth gallery item."""
        (whole,) = super().trials(items, setting)
        return tuple(
            replace(whole, gallery=whole.gallery[::step], gallery_sensors=whole.gallery_sensors[::step])
            for step in STEPS
        )


def test_several_trials_are_averaged_and_kept_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "get", lambda name: Drawn())
    stored, setting = store(tmp_path), Protocol(R, R)
    record = CellScorer(stored.facts, stored.scope)(stored.table, setting)
    items, matrix, alone = stored.items, stored.matrices[R], []
    for step in STEPS:
        rows = items.gallery[::step]
        labels = (items.labels.take(items.query), items.labels.take(rows))
        alone.append(evaluate(rank_embeddings(matrix[items.query], matrix[rows], *labels, stored.table.exclusion)))
    means = [found.summary() for found in alone]
    for name in Metrics.model_fields:
        assert getattr(record.metrics, name) == np.mean([getattr(mean, name) for mean in means])
    values = read_values(stored.scope.record_path("R-to-R"), record)
    assert values.trials.tolist() == np.repeat([0, 1, 2], len(items.query)).tolist()
    assert np.array_equal(values.metrics.ap, np.concatenate([found.ap for found in alone]), equal_nan=True)
    chances = [chance(found.positives, found.items).summary().mAP for found in alone]
    assert record.chance.mAP == np.mean(chances)
    assert record.counts.trials == 3
    assert record.counts.gallery == len({row for step in STEPS for row in items.gallery[::step]})
    valid = np.any([found.valid for found in alone], axis=0)
    assert (record.counts.queries, record.counts.queries_without_positive) == (valid.sum(), (~valid).sum())
    assert record.interval is not None
    assert record.interval.mAP == interval(
        np.nanmean([f.ap for f in alone], axis=0), items.labels.identity[items.query]
    )


class Counted(Drawn):
    """The same, Rank-k by identities, as SYSU-MM01 has it."""

    card = replace(MSVR310.card, cmc="identities")


def test_a_dataset_may_count_identities_in_rank_k(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored, setting = store(tmp_path), Protocol(R, R)
    records = []
    for dataset in (Drawn(), Counted()):
        monkeypatch.setattr(datasets, "get", lambda name, found=dataset: found)
        records.append(CellScorer(stored.facts, stored.scope)(stored.table, setting))
    by_item, by_identity = records
    items, matrix = stored.items, stored.matrices[R]
    means, chances = [], []
    for step in STEPS:
        rows = items.gallery[::step]
        labels = (items.labels.take(items.query), items.labels.take(rows))
        ranking = rank_embeddings(
            matrix[items.query], matrix[rows], *labels, stored.table.exclusion, cmc="identities"
        )
        found = evaluate(ranking)
        means.append(found.summary().rank5)
        rivals = Rivals.in_random_order(*labels, stored.table.exclusion)
        chances.append(chance(found.positives, found.items, rivals=rivals).summary().rank5)
    assert by_identity.metrics.rank5 == np.mean(means)
    assert by_identity.chance.rank5 == np.mean(chances)
    assert by_identity.metrics.rank5 > by_item.metrics.rank5
    assert by_identity.metrics.mAP == by_item.metrics.mAP


def test_what_nobody_can_say_or_serve_is_one_sentence(tmp_path: Path) -> None:
    stored = store(tmp_path)
    with pytest.raises(DataError, match=r"D-to-R cannot be scored .* no item has the sensors asked for"):
        CellScorer(stored.facts, stored.scope)(stored.table, Protocol(D, R))
    plugin = store(tmp_path, dataset="yard")
    with pytest.raises(DataError, match="dataset yard, which says what R-to-R compares, is not installed"):
        CellScorer(plugin.facts, plugin.scope)(plugin.table, Protocol(R, R))


def test_the_comparison_is_told_the_sensors_that_the_method_was_built_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given weights may know other sensors than the dataset has; vectors have a block for each of theirs."""
    told: list[tuple[bool, Modality]] = []

    def spy(options: Mapping[str, Any], sensors: Modality) -> None:
        told.append((options == stored.facts.shared.options, sensors))

    stored = store(tmp_path)
    monkeypatch.setattr(registry, "card", lambda name: replace(CARD, comparison=spy))
    facts = stored.facts.model_copy(update={"sensors": "RNTD"})
    CellScorer(facts, stored.scope)(stored.table, SETTINGS[0])
    assert told == [(True, RNT | D)]


@pytest.mark.parametrize("side", ["query", "gallery", "both"])
def test_each_side_has_corrupted_embeddings_or_clean_ones(tmp_path: Path, side: Sides) -> None:
    stored, spec, setting = store(tmp_path), Corruption("fog-3", side), Protocol(R, N | T)
    corrupted = stored.corrupt(spec, 5)
    record = CellScorer(stored.facts, stored.scope, Form(corruption=spec))(stored.table, setting)
    items = stored.items
    query = (stored.matrices if side == "gallery" else corrupted)[R][items.query]
    gallery = (stored.matrices if side == "query" else corrupted)[N | T][items.gallery]
    labels = items.labels.take(items.query), items.labels.take(items.gallery)
    expected = evaluate(rank_embeddings(query, gallery, *labels, stored.table.exclusion))
    assert record.metrics == Metrics.of(expected.summary())
    assert record.corruption is not None
    assert record.corruption.spec == spec
    assert (stored.scope.path / f"R-to-NT.corrupt-fog-3.{side}.r0.json").is_file()
    clean = CellScorer(stored.facts, stored.scope)(stored.table, setting)
    assert clean.corruption is None
    assert clean.metrics != record.metrics
    assert clean.chance == record.chance


@pytest.mark.parametrize("change", [{"weights": "other"}, {"precision": "bf16"}, {"test_fingerprint": "c" * 12}])
def test_corrupted_embeddings_of_another_kind_are_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    stored, spec = store(tmp_path), Corruption("fog-3")
    stored.corrupt(spec, 5)
    EmbeddingFolder(stored.scope.embeddings_of(spec)).write_items(replace(stored.table, **change))
    with pytest.raises(DataError, match=r"embeddings\.fog-3\.r0 do not go with those of the images as they are"):
        CellScorer(stored.facts, stored.scope, Form(corruption=spec))(stored.table, Protocol(R, N))


def test_a_published_corrupted_set_has_the_first_trial_alone(tmp_path: Path) -> None:
    class Drawn(MSVR310):
        def trials(self, items: Items, setting: Setting) -> tuple[Trial, ...]:
            (whole,) = super().trials(items, setting)
            few = slice(0, -4)
            return whole, replace(whole, gallery=whole.gallery[few], gallery_sensors=whole.gallery_sensors[few])

    items, setting = store(tmp_path).items, Protocol(R, N)
    assert len(trials_of(Drawn(), items, setting, Corruption("random"))) == 2
    (only,) = trials_of(Drawn(), items, setting, Corruption("random", published="SYSU-MM01-C"))
    assert len(only.gallery) == len(items.gallery)
