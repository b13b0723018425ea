"""What must be said about measured numbers: the data, the configuration, the seeds."""

from collections.abc import Iterable, Sequence

from mdreid_bench.data.images import described
from mdreid_bench.report import origin
from mdreid_bench.report.table import Cell, Number
from mdreid_bench.report.titles import dataset_title
from mdreid_bench.report.variants import Variant, flat, marked, test_data
from mdreid_bench.results.schema import Record, Repetition
from mdreid_bench.wording import by_kind

INTERVAL_NOTE = "[low, high]: 95 % bootstrap interval over queries, clustered by identity."


def data_mark(record: Record) -> str:
    """Return what a title says when the data are not the full published ones, or re-ranked; may be empty."""
    return marked("", origin.data_marks(record, "synthetic data", form=False))


def caption(variants: Sequence[Variant], unit: str = "Values in %.") -> str:
    """Describe the data and what all variants, at least one, share; ``unit`` is a sentence on the unit of numbers."""
    record = variants[0].example
    sentences = [unit] if unit else []
    if record.data_kind == "synthetic":
        sentences.append(
            f"SYNTHETIC data in the layout of {dataset_title(record.dataset)}, not the published images."
        )
    else:
        sentences.append(f"Real images of {dataset_title(record.dataset)}.")
    if record.sources:
        sentences.append(f"Identities learned from {' and '.join(map(dataset_title, record.sources))}.")
    if record.limit is not None:
        sentences.append(f"At most {record.limit} test items (--limit {record.limit}).")
    if record.data_findings:
        sentences.append(f"Faults of the data: {by_kind(record.data_findings)}.")
    if record.average_precision == "trapezoid":
        sentences.append("mAP from the trapezoid AP of the Market-1501 MATLAB code.")
    if record.rerank:
        sentences.append(f"All methods {origin.reranking(record)}: k-reciprocal re-ranking, Zhong et al. 2017.")
    sentences.append(_data(variants))
    sentences += [f"{rule}." for rule in described(record.image_rules)]
    setups = {_setup(variant) for variant in variants}
    if len(setups) == 1:
        sentences.append(f"All methods: {setups.pop()}.")
    return " ".join(sentences)


def footnotes(variants: Sequence[Variant], protocols: Sequence[str]) -> list[str]:
    """Return the notes on set-ups that differ, on seeds and on records left out."""
    notes = []
    if len({_setup(variant) for variant in variants}) > 1:
        notes += [f"{variant.label}: {_setup(variant)}." for variant in variants]
    modes = {r.protocol: r.mode for v in variants for p in protocols for r in v.records.get(p, ())[:1]}
    notes += [f"{protocol}: {mode}." for protocol, mode in modes.items() if mode]
    notes += _seed_notes(v for v in variants if any(protocol in v.records for protocol in protocols))
    notes += [
        f"{variant.label}: {variant.superseded} older records of the same seeds left out."
        for variant in variants
        if variant.superseded
    ]
    return notes


def provenance(variants: Sequence[Variant], protocols: Sequence[str]) -> list[str]:
    """Return the notes on the choice of the epoch, settings made by hand, code, libraries, machines, dates."""
    records = [r for variant in variants for protocol in protocols for r in variant.records.get(protocol, ())]
    selections: dict[str, list[str]] = {}
    for variant in variants:
        selections.setdefault(origin.SELECTIONS[variant.example.selection], []).append(variant.label)
    set_by_hand = {v.label: flat(v.example.config_overrides) for v in variants if v.example.config_overrides}
    made = {id(record.provenance): record.provenance for record in records}.values()
    return [
        *(f"{', '.join(dict.fromkeys(labels))}: {selection}." for selection, labels in selections.items()),
        *(
            f"{label}, set by hand: {', '.join(f'{key} {value}' for key, value in settings.items())}."
            for label, settings in set_by_hand.items()
        ),
        f"Measured {origin.dates(made)} with {'; '.join(origin.code(made))}, on {'; '.join(origin.hardware(made))}.",
    ]


def interval_notes(rows: Iterable[Sequence[Cell]]) -> list[str]:
    """Return the note on intervals, if any number has one."""
    shown = any(isinstance(cell, Number) and cell.interval for row in rows for cell in row)
    return [INTERVAL_NOTE] if shown else []


def _data(variants: Sequence[Variant]) -> str:
    """Describe the test data; several versions of it are told apart by their fingerprints."""
    versions = {test_data(variant.example): origin.sizes(variant.example) for variant in variants}
    if len(versions) == 1:
        return f"{next(iter(versions.values()))}."
    listed = "; ".join(f"{fingerprint[:10]} ({size})" for fingerprint, size in versions.items())
    return f"{len(versions)} versions of the test data, which differ in content and are never averaged: {listed}."


def _setup(variant: Variant) -> str:
    example = variant.example
    precision = "" if example.precision == origin.USUAL_PRECISION else f", embeddings in {example.precision}"
    return f"preset {example.preset}, trunk {example.trunk}{precision}"


def _seed_notes(variants: Iterable[Variant]) -> list[str]:
    labels: dict[tuple[bool, tuple[Repetition, ...]], list[str]] = {}
    for variant in variants:
        labels.setdefault((variant.seedless, variant.made), []).append(variant.label)
    return [f"{', '.join(names)}: {_repetitions(*key)}." for key, names in labels.items()]


def _repetitions(seedless: bool, made: Sequence[Repetition]) -> str:
    told = origin.made_in_words(made)
    if seedless:
        return f"not trained, the same with {told}"
    return f"mean ± sample standard deviation over {told}" if len(made) > 1 else told
