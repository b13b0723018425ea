"""Where numbers come from, in words: for one cell, and for all of a table."""

import re
from collections.abc import Iterable, Sequence

from mdreid_bench.data.check_rules import Kind
from mdreid_bench.results.schema import Provenance, Record, Repetition
from mdreid_bench.wording import arrow, counted, listed

SELECTIONS = {
    "last-epoch": "weights of the last epoch",
    "best-test": "EPOCH CHOSEN ON TEST DATA",
    "none": "not trained by this suite",
}
"""How the reported epoch was chosen."""


USUAL_PRECISION = "fp32"
"""Numeric type of embeddings that goes without saying."""


_RERANKING = ("k1", "k2", "lambda")


def origin(records: Sequence[Record]) -> str:
    """Describe the measurement behind one number: data, configuration, seeds, queries, code, hardware."""
    first = records[0]
    made = sorted({record.repetition for record in records}, key=lambda one: (len(one[0]), *one))
    protocols = list(dict.fromkeys(record.protocol for record in records))
    parts = [
        f"measured on {first.data_kind} data, {arrow(first.sources, first.dataset)}",
        protocols[0] if len(protocols) == 1 else f"mean of {', '.join(protocols)}",
        first.method,
        f"preset {first.preset}, trunk {first.trunk}",
        made_in_words(made),
        SELECTIONS[first.selection],
        sizes(first),
        *code(record.provenance for record in records),
        *hardware(record.provenance for record in records),
    ]
    if first.precision != USUAL_PRECISION:
        parts.insert(4, f"embeddings computed in {first.precision}")
    if first.feature_batch is not None:
        parts.insert(4, f"features depend on the test batch of {first.feature_batch}")
    if first.calibration != "none":
        parts.insert(4, f"scores {first.calibration} by the sensors of both sides")
    if first.rerank:
        parts.insert(4, reranking(first))
    if first.corruption:
        names = dict.fromkeys(record.corruption.spec.cell for record in records if record.corruption)
        parts.insert(1, f"images corrupted: {listed(list(names))}")
    if first.limit is not None:
        parts.insert(1, f"limit {first.limit}")
    return "; ".join(parts)


def made_in_words(made: Sequence[Repetition]) -> str:
    """Return ``seed 1``, ``seeds 1, 2`` or, of some splits and seeds, ``splits 1, 2 and seed 1``."""
    splits, seeds = (list(dict.fromkeys(one[part] for one in made)) for part in (0, 1))
    named = [("split", [split for split in splits if split]), ("seed", sorted(seeds))]
    return " and ".join(
        f"{name}{'s' if len(found) > 1 else ''} {', '.join(map(str, found))}" for name, found in named if found
    )


def reranking(record: Record) -> str:
    """Return ``re-ranked k1=20, k2=6, lambda=0.3``; nothing for a record without re-ranking."""
    numbers = reranking_numbers(record.rerank or "")
    if len(numbers) == 3:
        return f"re-ranked {', '.join(f'{name}={number}' for name, number in zip(_RERANKING, numbers, strict=True))}"
    return f"re-ranked {record.rerank}" if record.rerank else ""


def reranking_numbers(name: str) -> list[str]:
    """Return k1, k2 and lambda of the name that records have for a re-ranking."""
    return re.split("[-,_]", name, maxsplit=2)


def missing(record: Record) -> str:
    """Return how many images were missing where that was allowed; may be empty."""
    number = record.data_findings.get(Kind.MISSING, 0)
    return f"incomplete: {counted(number, 'image')} missing" if number else ""


def data_marks(record: Record, synthetic: str = "synthetic", form: bool = True) -> list[str]:
    """Return what sets the numbers of a record apart from those on the full published data; empty when nothing does.

    Data that were generated are called ``synthetic``; ``form`` says whether to name the form of average precision.
    """
    marks = (
        synthetic if record.data_kind == "synthetic" else "",
        "" if record.limit is None else f"limit {record.limit}",
        missing(record),
        f"{record.average_precision} AP" if form and record.average_precision != "standard" else "",
        reranking(record),
    )
    return [mark for mark in marks if mark]


def sizes(record: Record) -> str:
    """Return how many queries entered the means, how many were left out, and the size of the gallery."""
    counts = record.counts
    gallery = f"{counts.gallery} gallery items"
    if counts.trials > 1:
        each = "" if counts.gallery_of_trial is None else f", each with {counts.gallery_of_trial}"
        gallery += f" in {counts.trials} trials{each}"
    text = f"{counts.queries} queries of {counts.identities} identities, {gallery}"
    if counts.queries_without_positive:
        text += f"; {counts.queries_without_positive} queries without a positive left out"
    return text


def code(provenances: Iterable[Provenance]) -> list[str]:
    """Return the versions of the code and the libraries that made the records, each combination once."""
    return _unique(
        f"{_commit(one)}, Python {one.python}, "
        + ", ".join(f"{name} {version}" for name, version in sorted(one.versions.items()))
        for one in provenances
    )


def hardware(provenances: Iterable[Provenance]) -> list[str]:
    """Return the machines that made the records, each once."""
    return _unique(
        f"{one.gpu or 'no GPU'}, {one.cpu}, {one.cores} cores, {_threads(one)}{one.platform}" for one in provenances
    )


def dates(provenances: Iterable[Provenance]) -> str:
    """Return the day of the measurements, or the first and the last."""
    days = sorted({one.created.date().isoformat() for one in provenances})
    return days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"


def _threads(provenance: Provenance) -> str:
    numbers = sorted(set(provenance.threads.values()))
    return f"{' or '.join(map(str, numbers))} threads, " if numbers else ""


def _commit(provenance: Provenance) -> str:
    if provenance.commit is None:
        return "code outside a checkout"
    changed = " with changes" if provenance.dirty else ""
    return f"commit {provenance.commit[:10]}{changed}"


def _unique(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))
