"""What must be said about measured numbers: the data, the configuration, the seeds."""

from collections.abc import Iterable, Sequence

from mdreid_bench.report.variants import Variant
from mdreid_bench.results.schema import Record

INTERVAL_NOTE = "[low, high]: 95 % bootstrap interval over queries, clustered by identity."


def data_mark(record: Record) -> str:
    """Return the mark that a title carries when the data are not the full published ones; may be empty."""
    marks = ["synthetic data"] if record.data_kind == "synthetic" else []
    if record.limit is not None:
        marks.append(f"limit {record.limit}")
    return f" ({', '.join(marks)})" if marks else ""


def caption(variants: Sequence[Variant]) -> str:
    """Describe the data and what all variants share; the variants must share dataset and limit."""
    record = variants[0].example
    sentences = ["Values in %."]
    if record.data_kind == "synthetic":
        sentences.append(f"SYNTHETIC data in the layout of {record.dataset}, not the published images.")
    if record.limit is not None:
        sentences.append(f"At most {record.limit} test triplets (--limit {record.limit}).")
    if record.average_precision == "trapezoid":
        sentences.append("mAP from the trapezoid AP of the Market-1501 MATLAB code.")
    sentences.append(_sizes(record))
    setups = {_setup(variant) for variant in variants}
    if len(setups) == 1:
        sentences.append(f"All methods: {setups.pop()}.")
    return " ".join(sentences)


def footnotes(variants: Sequence[Variant], protocols: Sequence[str]) -> list[str]:
    """Return the notes on set-ups that differ, on seeds and on records left out."""
    notes = []
    if len({_setup(variant) for variant in variants}) > 1:
        notes += [f"{variant.label}: {_setup(variant)}." for variant in variants]
    notes += _seed_notes(variants, protocols)
    notes += [
        f"{variant.label}: {variant.superseded} older records of the same seeds left out."
        for variant in variants
        if variant.superseded
    ]
    return notes


def _sizes(record: Record) -> str:
    counts = record.counts
    text = f"{counts.queries} queries of {counts.identities} identities, {counts.gallery} gallery items"
    if counts.queries_without_positive:
        text += f"; {counts.queries_without_positive} queries without a positive left out"
    return text + "."


def _setup(variant: Variant) -> str:
    return f"preset {variant.example.preset}, trunk {variant.example.trunk}"


def _seed_notes(variants: Iterable[Variant], protocols: Sequence[str]) -> list[str]:
    labels: dict[tuple[int, ...], list[str]] = {}
    for variant in variants:
        shown = [variant.seeds(protocol) for protocol in protocols if protocol in variant.records]
        for seeds in dict.fromkeys(shown):
            partial = "" if shown.count(seeds) == len(shown) else f" ({shown.count(seeds)} protocols)"
            labels.setdefault(seeds, []).append(variant.label + partial)
    return [
        f"{', '.join(names)}: {'mean ± sample standard deviation over seeds' if len(seeds) > 1 else 'seed'} "
        f"{', '.join(map(str, seeds))}."
        for seeds, names in labels.items()
    ]
