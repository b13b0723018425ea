"""Whether the figures of an open set can be, and whether they follow from embeddings that lie here."""

from collections.abc import Iterator
from itertools import product

import numpy as np

from mdreid_bench.bundles.finding import Finding, Kind
from mdreid_bench.bundles.values import EXACT, counts_items
from mdreid_bench.embedding.stored import EmbeddingFolder
from mdreid_bench.errors import MdreidError
from mdreid_bench.evaluation.cells import CellScorer
from mdreid_bench.results.form import Form
from mdreid_bench.results.open_set import OpenSet
from mdreid_bench.results.per_query import QueryValues
from mdreid_bench.results.run_facts import RunFacts
from mdreid_bench.results.schema import Record
from mdreid_bench.results.store import Store
from protocols.arrays import Values
from protocols.names import UnknownNameError
from protocols.open_set import FARS, RANKS, SHARE, SPLITS, NoProbesError, enrolled
from protocols.suites import resolve

_TITLES = {"mean": "DIR", "spread": "the spread of DIR", "chance": "DIR of chance"}


def measured_again(record: Record, own: Store) -> OpenSet | None:
    """Measure the open set of a record from embeddings in a results folder; None where those of the record are not.

    They are where the same run has the same values of queries there.
    """
    folder, form = own.folder(record), Form(record.average_precision)
    scope = folder.scope(record.limit)
    try:
        known = scope.believed(record.protocol, form)
        if known is None or known.per_query_digest != record.per_query_digest or known.run_key != record.run_key:
            return None
        facts, items = RunFacts.read(folder.facts), EmbeddingFolder(scope.embeddings).read_items()
        (setting,) = resolve([record.protocol], facts.modalities)
        return CellScorer(facts, scope, form).open_set(items, setting)
    except (MdreidError, UnknownNameError):
        return None


def check_open_set(name: str, record: Record, values: QueryValues, again: OpenSet | None) -> Iterator[Finding]:
    """Yield what is wrong with the open set of a record; ``again`` is the same measured here, where it could be."""
    told = record.open_set
    if told is None:
        return
    if (told.splits, told.share, told.ranks, told.far) != (SPLITS, SHARE, RANKS, FARS):
        yield Finding(Kind.CONTRADICTION, name, "its open set has other splits, ranks or rates than are measured")
        return
    try:
        mated, strangers, least = _by_queries(values)
    except NoProbesError as error:
        yield Finding(Kind.IMPOSSIBLE, name, f"it can have no open set: {error}")
        return
    for what, claimed, found in (("mated", told.mated, mated), ("non-mated", told.strangers, strangers)):
        if claimed != (found.min(), found.max()):
            counted = f"{found.min()} to {found.max()} by the values of its queries"
            yield Finding(Kind.COUNTS, name, f"{what} probes: {claimed[0]} to {claimed[1]} by the record, {counted}")
    for field in ("mean", "chance"):
        rates = np.array(getattr(told, field))
        if any((np.diff(rates, axis=axis) < -EXACT).any() for axis in (0, 1)):
            yield Finding(Kind.IMPOSSIBLE, name, f"{_TITLES[field]} falls where rank or FAR grows")
    plain = record.rerank is None and record.calibration == "none" and record.corruption is None
    if plain and counts_items(record) and (np.array(told.mean)[:, -1] < least - EXACT).any():
        yield Finding(Kind.IMPOSSIBLE, name, "DIR at a FAR of 1 is below what its queries find in the whole gallery")
    for field in _TITLES if again else ():
        ours, theirs = (np.array(getattr(one, field)) for one in (again, told))
        for place in product(range(len(RANKS)), range(len(FARS))):
            if abs(ours[place] - theirs[place]) > EXACT:
                where = f"{_TITLES[field]} at rank {RANKS[place[0]]} and a FAR of {FARS[place[1]]:g}"
                made = f"is {theirs[place]}, and its embeddings make {ours[place]}"
                yield Finding(Kind.METRICS, name, f"{where} {made}")
                break


def _by_queries(values: QueryValues) -> tuple[Values, Values, Values]:
    """Return mated and non-mated probes of each trial and split, and the least mean DIR (K,) without a threshold.

    A query finds its item in a gallery without the strangers' items at least as early as in the whole.

    Raises:
        NoProbesError: when a split has no probes.
    """
    mated, strangers, found = [], [], []
    for trial in np.unique(values.trials):
        rows = values.trials == trial
        identity, valid = values.identities[rows], values.metrics.valid[rows]
        ranks = np.stack([getattr(values.metrics, f"rank{k}")[rows] for k in RANKS])
        for split in range(SPLITS):
            known = np.isin(identity, enrolled(np.unique(identity), split))
            if not (known & valid).any():
                raise NoProbesError(f"no query of the identities enrolled in split {split} has a valid positive")
            mated.append((known & valid).sum())
            strangers.append((~known).sum())
            found.append(ranks[:, known & valid].mean(axis=1))
    return np.array(mated), np.array(strangers), np.mean(found, axis=0)
