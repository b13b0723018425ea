"""Whether the figures of a record follow from the values of its queries, and whether these can be at all."""

from collections.abc import Iterator
from dataclasses import fields
from itertools import pairwise
from math import isclose

import numpy as np
from numpy.typing import NDArray

from mdreid_bench.bundles.finding import Finding, Kind
from mdreid_bench.report.titles import dataset_card
from mdreid_bench.results.per_query import QueryValues
from mdreid_bench.results.schema import Counts, Metrics, Record
from protocols.bootstrap import interval
from protocols.chance import chance
from protocols.evaluation import Metrics as Means
from protocols.evaluation import NoValidQueryError, PerQuery, mean_of_trials
from protocols.harmonic import reciprocal_sum

EXACT = 1e-9
_DRAWN = 0.01
"""Ends of an interval may differ by so much, because another version of NumPy may draw other identities."""
_RANKS = {"rank1": 1, "rank5": 5, "rank10": 10, "rank20": 20}
Which = NDArray[np.bool_]


def check_values(name: str, record: Record, values: QueryValues) -> Iterator[Finding]:
    """Yield what is wrong with a record and the values beside it; ``name`` is that of its file."""
    if impossible := _impossible(record, values.metrics):
        yield Finding(Kind.IMPOSSIBLE, name, f"values of its queries cannot be: {impossible}")
        return
    try:
        trials = list(_by_trial(values))
        means = mean_of_trials(trials)
        expected = [chance(found.positives, found.items, record.average_precision) for found in trials]
        at_random = mean_of_trials(expected)
    except (NoValidQueryError, ValueError):
        yield Finding(Kind.IMPOSSIBLE, name, "no figures can be made of the values of its queries")
        return
    for field, claimed, found in _differing(record.metrics, means):
        yield Finding(Kind.METRICS, name, f"{field} is {claimed}, and the values of its queries make {found}")
    if record.interval is not None:
        drawn = interval(values.by_query(values.metrics.ap), values.identities[values.first])
        if np.abs(np.subtract(drawn, record.interval.mAP)).max() > _DRAWN:
            yield Finding(
                Kind.METRICS, name, f"the interval is {_pair(record.interval.mAP)}, and follows as {_pair(drawn)}"
            )
    fields_of_items = set(Metrics.model_fields) if counts_items(record) else {"mAP", "mINP"}
    for field, claimed, found in _differing(record.chance, at_random):
        if field in fields_of_items:
            yield Finding(Kind.METRICS, name, f"{field} of chance is {claimed}, and follows as {found}")
    for what, claimed_count, counted in _counts(record.counts, values):
        yield Finding(
            Kind.COUNTS, name, f"{what}: {claimed_count} by the record, {counted} by the values of its queries"
        )
    yield from _constant(name, values.metrics, np.concatenate([found.ap for found in expected]))


def check_alone(name: str, record: Record) -> Iterator[Finding]:
    """Yield what the record alone tells: how it was made, and counts that are not those of the published data."""
    if record.selection == "best-test":
        yield Finding(Kind.SELECTION, name, "the epoch was chosen by looking at the test data")
    if record.rerank:
        yield Finding(Kind.RERANKING, name, f"the ranking was changed after the comparison: {record.rerank}")
    if record.feature_batch is not None:
        yield Finding(
            Kind.BATCH, name, f"vectors depend on the other items of a test batch of {record.feature_batch}"
        )
    if record.per_query is None:
        yield Finding(Kind.UNPROVEN, name, "there are no values of its queries, so nothing proves its figures")
        pairs = zip(record.metrics.model_dump().values(), record.chance.model_dump().values(), strict=True)
        if all(a is None or b is None or isclose(a, b, abs_tol=EXACT) for a, b in pairs):
            yield Finding(Kind.CONSTANT, name, "all metrics are those of a random order")
    card, counts = dataset_card(record.dataset), record.counts
    usual = record.data_kind == "real" and record.limit is None and not record.data_findings and not record.mode
    if card is None or not (usual and card.complete) or card.modes:
        return
    asked = counts.queries + counts.queries_without_positive
    for what, number, published in (
        ("queries", asked, card.counts.query_images),
        ("gallery items", counts.gallery, card.counts.gallery_images),
    ):
        if published is not None and number != published:
            yield Finding(Kind.COUNTS, name, f"{number} {what}, and {card.title} has {published}")


def _by_trial(values: QueryValues) -> Iterator[PerQuery]:
    for number in range(int(values.trials.max(initial=-1)) + 1):
        rows = values.trials == number
        yield PerQuery(**{field.name: getattr(values.metrics, field.name)[rows] for field in fields(PerQuery)})


def _pair(ends: tuple[float, float]) -> str:
    return f"[{ends[0]:.4f}, {ends[1]:.4f}]"


def _differing(claimed: Metrics, found: Means) -> Iterator[tuple[str, float, float]]:
    """Yield the metrics that differ; those that records of earlier versions do not have are passed over."""
    for field in Metrics.model_fields:
        a, b = getattr(claimed, field), getattr(found, field)
        if a is not None and not isclose(a, b, abs_tol=EXACT):
            yield field, a, b


def _counts(told: Counts, values: QueryValues) -> Iterator[tuple[str, int, int]]:
    valid, most = values.metrics.valid, int(values.metrics.items.max(initial=0))
    queries = len(np.unique(values.names[valid]))
    for what, claimed, found in (
        ("queries", told.queries, queries),
        ("queries without a positive", told.queries_without_positive, len(values.first) - queries),
        ("identities", told.identities, len(np.unique(values.identities[valid]))),
        ("tied positives", told.tied_positives, int(values.metrics.tied_positives.sum())),
        ("trials", told.trials, int(values.trials.max(initial=-1)) + 1),
    ):
        if claimed != found:
            yield what, claimed, found
    for claimed in {told.gallery, told.gallery if told.gallery_of_trial is None else told.gallery_of_trial}:
        if claimed < most:
            yield "gallery items, at least", claimed, most


def _impossible(record: Record, found: PerQuery) -> str:
    """Say what of the values of queries no ranking can give; nothing if all can be.

    Where no score is tied, the rank of the first positive leaves little room: AP lies between that of all other
    positives right behind it and that of all others at the end.
    """
    valid, items, positives = found.valid, found.items, found.positives
    floats = {field: getattr(found, field) for field in ("ap", "inp", *_RANKS) if not _lacking(record, field)}
    if any(np.isnan(value[valid]).any() or not np.isnan(value[~valid]).all() for value in floats.values()):
        return "some are missing where there is a positive, or there where is none"
    if any((np.abs(value[valid] - 0.5) > 0.5 + EXACT).any() for value in floats.values()):
        return "some are not between 0 and 1"
    if (positives > items).any() or (positives < 0).any() or (found.tied_positives > positives).any():
        return "more positives than items, or more tied ones than there are"
    ladder = [floats[field][valid] for field in _RANKS if field in floats]
    if any((low > high + EXACT).any() for low, high in pairwise(ladder)):
        return "a Rank-k above one of a larger k"
    if not counts_items(record):
        return ""
    sure = valid & (found.tied_positives == 0)
    first, P, V = found.first_hit_rank[sure], positives[sure], items[sure]
    if (first != np.round(first)).any() or (first < 1).any() or (first > V - P + 1).any():
        return "a first positive at a rank that there is not"
    if any((floats[k][sure] != (first <= rank)).any() for k, rank in _RANKS.items() if k in floats):
        return "a Rank-k that the rank of the first positive contradicts"
    before = first.astype(np.int64) - 1
    if _outside(found.inp[sure], P / V, P / (before + P)):
        return "an inverse negative penalty that the rank of the first positive contradicts"
    highest = P - before * reciprocal_sum(before, P)
    lowest = 1 / first + (P - 1) - (V - P) * reciprocal_sum(V - P + 1, P - 1)
    if record.average_precision == "standard" and _outside(found.ap[sure], lowest / P, highest / P):
        return "an average precision that the rank of the first positive contradicts"
    return ""


def _outside(value: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64]) -> bool:
    return bool(((value < low - EXACT) | (value > high + EXACT)).any())


def _lacking(record: Record, field: str) -> bool:
    """Tell whether a metric is one that records of earlier versions do not have."""
    return field == "rank20" and record.metrics.rank20 is None


def counts_items(record: Record) -> bool:
    """Tell whether Rank-k is known to count items; some datasets count identities."""
    card = dataset_card(record.dataset)
    return card is not None and card.cmc == "items"


def _constant(name: str, found: PerQuery, at_random: NDArray[np.float64]) -> Iterator[Finding]:
    """Name a scorer that tells nothing apart: all it can do is what a random order does."""
    valid: Which = found.valid & (found.positives < found.items)
    if not valid.any() or not (found.tied_positives == found.positives)[valid].all():
        return
    if np.allclose(found.ap[valid], at_random[valid], rtol=0, atol=EXACT):
        yield Finding(Kind.CONSTANT, name, "every item has the same score: each value is that of a random order")
    else:
        yield Finding(Kind.CONSTANT, name, "ties everywhere: every right item shares its score with another one")
