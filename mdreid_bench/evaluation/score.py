"""From stored embeddings to per-query values, metrics, interval and chance of one setting."""

from dataclasses import dataclass

from mdreid_bench.embedding.stored import EmbeddingFolder, TestItems
from mdreid_bench.errors import DataError
from mdreid_bench.models.card import Comparison
from protocols.bootstrap import interval
from protocols.chance import chance
from protocols.evaluation import AveragePrecision, Metrics, NoValidQueryError, PerQuery, evaluate
from protocols.ranking import DEFAULT_MEMORY_BUDGET, NonFiniteScoreError, rank_embeddings
from protocols.suites import Setting


@dataclass(frozen=True)
class Scores:
    """What one cell scores.

    Attributes:
        metrics: means over the queries with a valid positive.
        interval: 95 % bootstrap interval of mAP, queries clustered by identity.
        chance: what a random order scores for the same queries, gallery and exclusion.
        per_query: every query's values.
        identities: number of identities among the queries in the means.
        average_precision: the form of AP in all of them.
    """

    metrics: Metrics
    interval: tuple[float, float]
    chance: Metrics
    per_query: PerQuery
    identities: int
    average_precision: AveragePrecision


def score(
    folder: EmbeddingFolder,
    items: TestItems,
    setting: Setting,
    *,
    average_precision: AveragePrecision = "standard",
    memory_budget: int = DEFAULT_MEMORY_BUDGET,
    comparison: Comparison | None = None,
) -> Scores:
    """Score one setting.

    Args:
        folder: stored embeddings.
        items: their table.
        setting: protocol, or mixed availability.
        average_precision: standard, or the trapezoid form of older tables.
        memory_budget: bytes for scores and what else grows with a chunk of queries.
        comparison: of the method; None for the inner product.

    Raises:
        UsageError: for a setting that the comparison does not know.
        DataError: when embeddings are damaged or not finite, or no query has a valid positive.
    """
    vectors = folder.vectors(items, setting, "query"), folder.vectors(items, setting, "gallery")
    if comparison is not None:
        vectors = comparison(setting, *vectors)
    query, gallery = (items.labels.take(items.rows(side)) for side in ("query", "gallery"))
    try:
        ranking = rank_embeddings(
            *vectors,
            query,
            gallery,
            items.exclusion,
            memory_budget=memory_budget,
        )
        per_query = evaluate(ranking, average_precision)
        metrics = per_query.summary()
    except NonFiniteScoreError as error:
        asked, offered = items.names[items.query[error.query]], items.names[items.gallery[error.gallery]]
        raise DataError(
            f"{setting} cannot be scored from {folder.path}: the score of query {asked} with gallery item {offered} "
            f"is {error.score}; delete the folder and run again, or train anew."
        ) from None
    except NoValidQueryError as error:
        raise DataError(f"{setting} cannot be scored from {folder.path}: {error}") from None
    expected = chance(per_query.positives, per_query.items, average_precision)
    return Scores(
        metrics=metrics,
        interval=interval(per_query.ap, query.identity),
        chance=expected.summary(),
        per_query=per_query,
        identities=len(set(query.identity[per_query.valid].tolist())),
        average_precision=average_precision,
    )
