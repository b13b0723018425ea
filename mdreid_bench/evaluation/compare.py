"""Which of two evaluations is better, and how sure that is, from the queries they share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mdreid_bench.errors import UsageError
from mdreid_bench.results.per_query import QueryValues
from mdreid_bench.results.schema import Record
from mdreid_bench.results.store import load_record, read_values
from protocols.arrays import Counts, Values
from protocols.bootstrap import Difference, paired_difference
from protocols.randomisation import luck_of, p_values

LEVEL = 0.95


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A stored record and the values of its queries."""

    record: Record
    values: QueryValues

    @classmethod
    def read(cls, path: Path) -> "Evaluation":
        """Read a record and the file beside it.

        Raises:
            DataError: when one of them is missing or must not be believed, or they do not belong together.
        """
        record = load_record(path)
        return cls(record, read_values(path, record))


@dataclass(frozen=True)
class Compared:
    """One metric of both sides; fractions.

    Attributes:
        a: mean of the first side over queries and seeds.
        b: mean of the second.
        difference: of the first from the second, with its 95 % interval.
        p: of the randomisation test that there is no difference.
    """

    a: float
    b: float
    difference: Difference
    p: float


@dataclass(frozen=True)
class Comparison:
    """Two sides under one protocol, or under several.

    Attributes:
        protocol: its name, or how many the values of each query are means over.
        seeds: pairs of seeds (first side, second side) whose per-query values were averaged.
        split: how the dataset is divided, where there are several ways; else None.
        identities: identities among them, the clusters of the bootstrap.
    """

    protocol: str
    seeds: tuple[tuple[int, int], ...]
    mean_ap: Compared
    rank1: Compared
    queries: int
    identities: int
    split: str | None = None


def compare(pairs: Sequence[tuple[Evaluation, Evaluation]]) -> Comparison:
    """Compare two sides on the same queries; with several pairs, a query's values are averaged over all of them.

    Pairs differ in seed, protocol, or both. There is at least one pair; both sides of a pair are under one protocol.

    Raises:
        UsageError: when the evaluations were not made on the same test items, queries and form of AP.
    """
    first = pairs[0][0]
    for one, other in pairs:
        check_comparable(one, other)
        _check_queries(first, one)
    identities = first.values.identities[first.values.first]
    trained = [evaluation.record.selection != "none" for evaluation in pairs[0]]
    ap = [_by_seed(pairs, side, lambda values: values.metrics.ap) for side in (0, 1)]
    rank1 = [_by_seed(pairs, side, lambda values: values.metrics.rank1) for side in (0, 1)]
    valid = ~np.isnan(ap[0][0])
    protocols = list(dict.fromkeys(a.record.protocol for a, _ in pairs))
    return Comparison(
        protocol=protocols[0] if len(protocols) == 1 else f"mean of {len(protocols)}",
        seeds=tuple(dict.fromkeys((a.record.seed, b.record.seed) for a, b in pairs)),
        mean_ap=_compared(ap[0], ap[1], identities, trained),
        rank1=_compared(rank1[0], rank1[1], identities, trained),
        queries=int(valid.sum()),
        identities=len(np.unique(identities[valid])),
        split=first.record.split,
    )


def _by_seed(
    pairs: Sequence[tuple[Evaluation, Evaluation]], side: int, metric: Callable[[QueryValues], Values]
) -> Values:
    """Return ``(seeds, nq)``: the values of one side, averaged over the protocols of each of its seeds."""
    seeds: dict[int, list[Values]] = {}
    for pair in pairs:
        values = pair[side].values
        seeds.setdefault(pair[side].record.seed, []).append(values.by_query(metric(values)))
    return np.array([np.mean(found, axis=0) for found in seeds.values()])


def _compared(a: Values, b: Values, identities: Counts, trained: Sequence[bool]) -> Compared:
    means = np.mean(a, axis=0), np.mean(b, axis=0)
    valid = ~np.isnan(means[0] - means[1])
    member = identities[valid, None] == np.unique(identities[valid])
    parts = [values[:, valid] @ member / valid.sum() for values in (a, b)]
    apart = parts[0].mean(axis=0, keepdims=True) - parts[1].mean(axis=0, keepdims=True)
    (p,) = p_values(apart, luck_of(parts, [(0, 1)], trained))
    difference = paired_difference(*means, identities, LEVEL)
    return Compared(float(np.nanmean(means[0])), float(np.nanmean(means[1])), difference, float(p))


def check_comparable(one: Evaluation, other: Evaluation) -> None:
    """Check that two evaluations are of the same queries in the same form.

    Raises:
        UsageError: when they are not.
    """
    _check_queries(one, other)
    a, b = one.record, other.record
    if _form(a) != _form(b):
        raise UsageError(
            f"{_apart(a, b)}: one was evaluated under {_form(a)}, the other under {_form(b)}; choose records of one "
            "protocol."
        )


def _check_queries(one: Evaluation, other: Evaluation) -> None:
    a, b = one.record, other.record
    if (a.dataset, a.test_fingerprint) != (b.dataset, b.test_fingerprint):
        raise UsageError(
            f"{_apart(a, b)}: they were evaluated on different test data (fingerprints {a.test_fingerprint[:10]} and "
            f"{b.test_fingerprint[:10]}); evaluate both on the same data and limit."
        )
    for name in ("names", "identities", "trials"):
        if not np.array_equal(getattr(one.values, name), getattr(other.values, name)):
            raise UsageError(f"{_apart(a, b)}: the {name} of their queries differ; score both again with --force.")


def _apart(a: Record, b: Record) -> str:
    return f"{a.method} on {a.dataset} and {b.method} on {b.dataset} cannot be compared"


def _form(record: Record) -> str:
    rerank = f" and re-ranking {record.rerank}" if record.rerank else ""
    return f"{record.protocol} with the {record.average_precision} average precision{rerank}"
