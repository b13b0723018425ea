"""Cells from stored embeddings: score a setting, make its record, store both record and per-query values."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from mdreid_bench.embedding.stored import EmbeddingFolder, TestItems
from mdreid_bench.evaluation.score import Scores, score
from mdreid_bench.models import registry
from mdreid_bench.results import provenance
from mdreid_bench.results.per_query import QueryValues
from mdreid_bench.results.run_facts import RunFacts
from mdreid_bench.results.schema import Counts, Interval, Metrics, Provenance, Record
from mdreid_bench.results.store import Scope
from protocols.evaluation import AveragePrecision
from protocols.ranking import DEFAULT_MEMORY_BUDGET
from protocols.suites import Setting


@dataclass(frozen=True)
class CellScorer:
    """Scores settings on the embeddings of one scope; needs neither the model nor the images.

    Attributes:
        facts: of the run.
        scope: with complete embeddings.
        average_precision: standard, or the trapezoid form of older tables.
        memory_budget: bytes for scores.
        gpu: accelerator of this process, for the records.
        seconds: time that phases before the scoring took, for the records.
    """

    facts: RunFacts
    scope: Scope
    average_precision: AveragePrecision = "standard"
    memory_budget: int = DEFAULT_MEMORY_BUDGET
    gpu: str | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)

    def __call__(self, items: TestItems, setting: Setting) -> Record:
        """Score one setting and write its record, whether or not there is one.

        Args:
            items: the table of the scope's embeddings.
            setting: protocol, or mixed availability.

        Raises:
            UsageError: for a mixed setting and MDReID in the released form, which compares fixed subsets.
            DataError: when embeddings are damaged, not finite, or no query has a valid positive.
        """
        start, shared = time.monotonic(), self.facts.shared
        scores = score(
            EmbeddingFolder(self.scope.embeddings),
            items,
            setting,
            average_precision=self.average_precision,
            memory_budget=self.memory_budget,
            comparison=registry.card(shared.method).comparison(shared.options, self.facts.modalities),
        )
        taken = dict(self.seconds) | {"score": round(time.monotonic() - start, 3)}
        record = build_record(self.facts, items, setting, scores, provenance.collect(self.gpu, taken))
        identities = items.labels.identity[items.query]
        self.scope.write(record, QueryValues(items.names[items.query], identities, scores.per_query))
        return record


def build_record(
    facts: RunFacts, items: TestItems, setting: Setting, scores: Scores, provenance: Provenance
) -> Record:
    """Put together the record of one cell."""
    return Record(
        **facts.record_fields(),
        test_fingerprint=items.test_fingerprint,
        limit=items.limit,
        precision=items.precision,
        protocol=str(setting),
        average_precision=scores.average_precision,
        metrics=Metrics.of(scores.metrics),
        interval=Interval(mAP=scores.interval),
        chance=Metrics.of(scores.chance),
        counts=Counts(
            queries=scores.metrics.queries,
            queries_without_positive=scores.metrics.left_out,
            gallery=len(items.gallery),
            identities=scores.identities,
            tied_positives=int(scores.per_query.tied_positives.sum()),
        ),
        provenance=provenance,
    )
