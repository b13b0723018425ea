"""Cells from stored embeddings: score a setting, make its record, store both record and per-query values."""

import time
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mdreid_bench.data import registry as datasets
from mdreid_bench.data.dataset import Dataset
from mdreid_bench.data.items import Items
from mdreid_bench.embedding.stored import EmbeddingFolder, StoredItems
from mdreid_bench.errors import DataError
from mdreid_bench.models import registry
from mdreid_bench.models.card import Comparison
from mdreid_bench.results import provenance
from mdreid_bench.results.calibration import StoredCalibration
from mdreid_bench.results.form import PLAIN, Form
from mdreid_bench.results.open_set import OpenSet
from mdreid_bench.results.per_query import QueryValues
from mdreid_bench.results.run_facts import RunFacts
from mdreid_bench.results.schema import CorruptedImages, Counts, Interval, Metrics, Record
from mdreid_bench.results.store import RunFolder, Scope
from protocols.arrays import FloatArray
from protocols.bootstrap import interval
from protocols.calibration import Calibration, UnknownPairError
from protocols.chance import chance
from protocols.corruption import Corruption
from protocols.evaluation import NoValidQueryError, PerQuery, evaluate, mean_of_trials
from protocols.names import UnknownNameError
from protocols.open_set import NoProbesError, open_set
from protocols.protocol import Side
from protocols.ranking import CMC, DEFAULT_MEMORY_BUDGET, NonFiniteScoreError, rank_embeddings
from protocols.rivals import Rivals
from protocols.suites import Setting
from protocols.trial import Trial

Embedded = tuple[EmbeddingFolder, StoredItems]


@dataclass(frozen=True, eq=False)
class Compared:
    """A trial with the vectors of its queries, (nq, E), and of its gallery, (ng, E), ready for inner products."""

    trial: Trial
    query: NDArray[np.float32]
    gallery: NDArray[np.float32]


@dataclass(frozen=True)
class CellScorer:
    """Scores settings on the embeddings of one scope; needs neither the model nor the images.

    Attributes:
        scope: with complete embeddings.
        form: how it is measured; what it says of corruption tells whose embeddings are those of corrupted images.
        memory_budget: bytes for scores and what else grows with a chunk of queries.
        gpu: accelerator of this process, for the records.
        seconds: time that phases before the scoring took, for the records.
        chances: what a random order gives, by all that it follows from: most settings share it.
    """

    facts: RunFacts
    scope: Scope
    form: Form = PLAIN
    memory_budget: int = DEFAULT_MEMORY_BUDGET
    gpu: str | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    chances: dict[Hashable, PerQuery] = field(default_factory=dict, repr=False, compare=False)

    def __call__(self, stored: StoredItems, setting: Setting) -> Record:
        """Score one setting as :meth:`measure` does and write its record, whether or not there is one.

        Raises:
            UsageError: for a setting that the method's comparison does not know.
            DataError: as there, or when the file system refuses.
        """
        return self.scope.write(*self.measure(stored, setting))

    def measure(self, stored: StoredItems, setting: Setting) -> tuple[Record, QueryValues]:
        """Score one setting on the table of the scope's embeddings; return what is to be written.

        Raises:
            UsageError: for a setting that the method's comparison does not know.
            DataError: when a calibration is missing, embeddings are damaged or not finite, no query has a valid
                positive, or the dataset that says what is compared is not installed.
        """
        start, shared = time.monotonic(), self.facts.shared
        dataset = _dataset(shared.dataset, setting)
        cmc, trials, measured = dataset.card.cmc, list[Trial](), list[PerQuery]()
        calibration = self._calibration(stored)
        for compared in self.compared(stored, setting):
            trials.append(compared.trial)
            measured.append(self._per_query(stored, setting, compared, cmc, calibration))
        values = joined(stored, trials, measured)
        expected = [self._chance(stored, setting, *found, cmc) for found in zip(trials, measured, strict=True)]
        record = Record(
            **dict(self.facts.shared),
            test_fingerprint=stored.test_fingerprint,
            limit=stored.limit,
            precision=stored.precision,
            protocol=str(setting),
            mode=setting.told or dataset.card.modes.get(setting.mode),
            average_precision=self.form.average_precision,
            calibration=self.form.calibration,
            rerank=self.form.rerank,
            corruption=CorruptedImages.of(self.form.corruption) if self.form.corruption else None,
            metrics=Metrics.of(mean_of_trials(measured)),
            interval=Interval(mAP=interval(values.by_query(values.metrics.ap), values.identities[values.first])),
            chance=Metrics.of(mean_of_trials(expected)),
            counts=_counts(values, trials),
            provenance=provenance.collect(
                self.gpu, {**self.seconds, "score": round(time.monotonic() - start, 3)}, stored.threads
            ),
        )
        return record, values

    def _calibration(self, stored: StoredItems) -> Calibration | None:
        """Return what the form makes of scores, as it is stored with the run; None where it leaves them."""
        if self.form.calibration == "none":
            return None
        return StoredCalibration.required(RunFolder(self.scope.path.parent).calibration, stored.weights).calibration

    def _sides(self, stored: StoredItems) -> dict[Side, Embedded]:
        """Return where the embeddings of each side lie, with their table; that of the clean ones is given."""
        clean, corruption = (EmbeddingFolder(self.scope.embeddings), stored), self.form.corruption
        found: dict[Side, Embedded] = {"query": clean, "gallery": clean}
        if corruption is None:
            return found
        folder = EmbeddingFolder(self.scope.embeddings_of(corruption))
        table = folder.read_items()
        folder.check_corrupted(table, stored)
        return {side: (folder, table) if corruption.corrupts(side) else clean for side in found}

    def compared(self, stored: StoredItems, setting: Setting) -> Iterator[Compared]:
        """Yield the trials of a setting with the vectors of both sides.

        Raises:
            UsageError: for a setting that the method's comparison does not know.
            DataError: when embeddings are damaged, a side is empty, or the dataset is not installed.
        """
        sides, dataset = self._sides(stored), _dataset(self.facts.shared.dataset, setting)
        for trial in trials_of(dataset, stored.items, setting, self.form.corruption):
            folder = sides["query"][0]
            if not len(trial.query) or not len(trial.gallery):
                raise DataError(f"{setting} cannot be scored from {folder.path}: no item has the sensors asked for.")
            query = folder.vectors(sides["query"][1], trial.query, trial.query_sensors)
            gallery = sides["gallery"][0].vectors(sides["gallery"][1], trial.gallery, trial.gallery_sensors)
            if self._comparison is not None:
                query, gallery = self._comparison(setting, query, gallery)
            yield Compared(trial, query, gallery)

    @cached_property
    def _comparison(self) -> Comparison | None:
        """What the method makes of both sides; None where inner products of stored vectors say it all."""
        return registry.card(self.facts.shared.method).comparison(self.facts.shared.options, self.facts.modalities)

    def laid_out(self, setting: Setting, gallery: FloatArray) -> FloatArray:
        """Return what a setting compares of further gallery items, (n, E)."""
        return gallery if self._comparison is None else self._comparison(setting, gallery[:1], gallery)[1]

    def open_set(self, stored: StoredItems, setting: Setting) -> OpenSet:
        """Measure a setting with some of the identities enrolled.

        Raises:
            UsageError: likewise.
            DataError: likewise, and when embeddings are not finite or a split has no probes.
        """
        items, measured = stored.items, []
        for one in self.compared(stored, setting):
            asked, offered = items.labels.take(one.trial.query), items.labels.take(one.trial.gallery)
            sides = (one.query, one.gallery, asked, offered)
            try:
                measured.append(open_set(*sides, stored.exclusion_under(setting), memory_budget=self.memory_budget))
            except NonFiniteScoreError as error:
                raise self._not_finite(stored, setting, one.trial, error) from None
            except NoProbesError as error:
                raise DataError(f"{setting} has no open set in {self.scope.embeddings}: {error}.") from None
        return OpenSet.of(measured)

    def _per_query(
        self, stored: StoredItems, setting: Setting, compared: Compared, cmc: CMC, calibration: Calibration | None
    ) -> PerQuery:
        """Return the values of every query of a trial."""
        items, trial = stored.items, compared.trial
        try:
            ranking = rank_embeddings(
                compared.query,
                compared.gallery,
                items.labels.take(trial.query),
                items.labels.take(trial.gallery),
                stored.exclusion_under(setting),
                cmc=cmc,
                reranking=self.form.reranking,
                adjustment=calibration.between(trial.query_sensors, trial.gallery_sensors) if calibration else None,
                memory_budget=self.memory_budget,
            )
            found = evaluate(ranking, self.form.average_precision)
            found.summary()
        except NonFiniteScoreError as error:
            raise self._not_finite(stored, setting, trial, error) from None
        except (NoValidQueryError, UnknownPairError) as error:
            where = self._sides(stored)["query"][0].path
            raise DataError(f"{setting} cannot be scored from {where}: {error}") from None
        return found

    def _not_finite(
        self, stored: StoredItems, setting: Setting, trial: Trial, error: NonFiniteScoreError
    ) -> DataError:
        where, names = self._sides(stored)["query"][0].path, stored.items.names
        asked, offered = names[trial.query[error.query]], names[trial.gallery[error.gallery]]
        return DataError(
            f"{setting} cannot be scored from {where}: the score of query {asked} with gallery item {offered} is "
            f"{error.score}; move the folder away and run again."
        )

    def _chance(self, stored: StoredItems, setting: Setting, trial: Trial, found: PerQuery, cmc: CMC) -> PerQuery:
        """Return what a random order of the gallery gives the queries of a trial; equal trials share it."""
        given: list[Hashable] = [self.form.average_precision, found.positives.tobytes(), found.items.tobytes()]
        asked, offered = (stored.items.labels.take(rows) for rows in (trial.query, trial.gallery))
        rule = stored.exclusion_under(setting)
        if cmc == "identities":
            given += [rule, *(values.tobytes() for labels in (asked, offered) for values in vars(labels).values())]
        key = tuple(given)
        if key not in self.chances:
            rivals = Rivals.in_random_order(asked, offered, rule) if cmc == "identities" else None
            self.chances[key] = chance(found.positives, found.items, self.form.average_precision, rivals)
        return self.chances[key]


def trials_of(
    dataset: Dataset, items: Items, setting: Setting, corruption: Corruption | None = None
) -> Sequence[Trial]:
    """Return what is compared under a setting: all trials, but the first alone of a published corrupted set."""
    trials = dataset.trials(items, setting)
    return trials[:1] if corruption and corruption.published else trials


def _dataset(dataset: str, setting: Setting) -> Dataset:
    """Return the dataset that says what is compared under a setting."""
    try:
        return datasets.get(dataset)
    except UnknownNameError:
        raise DataError(
            f"The dataset {dataset}, which says what {setting} compares, is not installed; install its package."
        ) from None


def joined(stored: StoredItems, trials: Sequence[Trial], measured: Sequence[PerQuery]) -> QueryValues:
    """Put the values of all trials one after the other."""
    rows = np.concatenate([trial.query for trial in trials])
    numbers = np.repeat(np.arange(len(trials)), [len(trial.query) for trial in trials])
    columns = {name: np.concatenate([getattr(found, name) for found in measured]) for name in vars(measured[0])}
    return QueryValues(stored.items.names[rows], stored.items.labels.identity[rows], numbers, PerQuery(**columns))


def _counts(values: QueryValues, trials: Sequence[Trial]) -> Counts:
    """Count the different items of all trials."""
    valid = values.metrics.valid
    queries = len(np.unique(values.names[valid]))
    sizes = {len(trial.gallery) for trial in trials}
    return Counts(
        queries=queries,
        queries_without_positive=len(values.first) - queries,
        gallery=len(np.unique(np.concatenate([trial.gallery << 8 | trial.gallery_sensors for trial in trials]))),
        identities=len(np.unique(values.identities[valid])),
        tied_positives=int(values.metrics.tied_positives.sum()),
        trials=len(trials),
        gallery_of_trial=sizes.pop() if len(trials) > len(sizes) == 1 else None,
    )
