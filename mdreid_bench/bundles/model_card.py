"""What goes with results so that somebody else can judge them and make them again, as one page of Markdown."""

import shlex
import statistics
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from mdreid_bench.report import origin, remarks
from mdreid_bench.report.decoupling import decoupling_tables
from mdreid_bench.report.files import SYNTHETIC
from mdreid_bench.report.groups import Group, Locate, group_records
from mdreid_bench.report.page.again import form_arguments, run_command
from mdreid_bench.report.quantities import CHANCE, METRICS
from mdreid_bench.report.render.markdown import escape, render_markdown
from mdreid_bench.report.sensors import sensors_of
from mdreid_bench.report.table import Cell, Column, Number, Table
from mdreid_bench.report.titles import data_title, dataset_card, method_card, method_title
from mdreid_bench.report.variants import PERCENT, Variant, flat, group_variants
from mdreid_bench.results.run_facts import GivenWeights, RunFacts
from mdreid_bench.results.schema import Record
from mdreid_bench.results.store import RunFolder
from mdreid_bench.wording import counted
from protocols.suites import usable_suites

DATA_ROOT = "DATA"
"""Stands for the folder of the datasets, which no record names."""
_LIMITS = (
    "Every figure holds for the test data named above and says nothing of other cameras, persons or vehicles.",
    "Intervals are over the queries, with whole identities drawn: they say how far other queries would move a "
    "figure, not how far another training would. Several seeds say that.",
    "Re-identification can be used to follow people. Nothing here was examined for how figures differ between groups "
    "of them.",
)


def model_card(records: Sequence[Record], folder: Locate) -> str:
    """Return the page for records, at least one, in any order; equal records make equal bytes.

    Args:
        records: of any methods and datasets.
        folder: gives the folder of the run that a record belongs to.
    """
    groups = group_records(records)
    shown = [(group, variant) for group in groups for variant in group_variants(group.records)]
    methods = list(dict.fromkeys(record.method for record in records))
    parts = [f"# Model card: {escape(', '.join(map(method_title, methods)))} on {escape(_datasets(groups))}"]
    if any(record.data_kind == "synthetic" for record in records):
        parts.append(f"**{escape(SYNTHETIC)}**")
    parts += ["## What it is", *map(_what, methods)]
    parts += ["## Data", *_data(groups), "## Recipe, seeds and how to make it again"]
    for group, variant in shown:
        parts += _recipe(group, variant, RunFacts.read(RunFolder(folder(variant.example)).facts).weights)
    parts.append("## Figures")
    parts += [render_markdown(_figures(group, variant)).rstrip() for group, variant in shown]
    parts += [render_markdown(table).rstrip() for table in decoupling_tables(records, folder)]
    if corrupted := sum(record.corruption is not None for record in records):
        parts.append(
            f"{counted(corrupted, 'record')} of corrupted test images: 'mdreid-bench report' has their tables."
        )
    provenances = [record.provenance for record in records]
    made = [f"Measured {origin.dates(provenances)}", *origin.code(provenances), *origin.hardware(provenances)]
    parts += ["## Environment", *_listed(made)]
    return "\n\n".join([*parts, "## Limits", *_listed([*_own_limits(records), *_LIMITS])]) + "\n"


def _datasets(groups: Iterable[Group]) -> str:
    return ", ".join(dict.fromkeys(group.title for group in groups))


def _what(method: str) -> str:
    card = method_card(method)
    if card is None:
        return f"**{escape(method)}** is of a package that was not installed where this page was made."
    paper = (
        f" Paper: {card.paper}, {card.venue}{f', {card.url}' if card.url else ''}." if card.venue != "none" else ""
    )
    return f"**{escape(card.title)}**: {escape(card.summary)}.{escape(paper)}"


def _data(groups: Iterable[Group]) -> Iterator[str]:
    """Yield a paragraph on each dataset."""
    for group in groups:
        first, card = group.example, dataset_card(group.dataset)
        kind = (
            "SYNTHETIC images in its layout, drawn by mdreid-bench"
            if first.data_kind == "synthetic"
            else "real images"
        )
        facts = [f"{kind}", f"test data {_kinds(group, 'test_fingerprint')}", origin.sizes(first)]
        facts += [f"training data {found}"] if (found := _kinds(group, "train_fingerprint")) else []
        source = (
            f" {escape(card.paper)}. Licence: {escape(card.licence)}." if card and first.data_kind == "real" else ""
        )
        yield f"**{escape(group.title)}**: {escape('; '.join(facts))}.{source}"


def _kinds(group: Group, field: str) -> str:
    """Return the different fingerprints of the data of a group, shortened."""
    found = sorted({str(value)[:10] for record in group.records if (value := getattr(record, field))})
    return ", ".join(found)


def _recipe(group: Group, variant: Variant, given: GivenWeights | None) -> list[str]:
    first = variant.example
    digest = f" (hash {first.trunk_digest[:10]})" if first.trunk_digest else ""
    settings = [f"{key} {value}" for key, value in flat(first.config_overrides).items()]
    facts = [
        f"preset {first.preset}, trunk {first.trunk}{digest}",
        f"{origin.made_in_words(variant.made)}; {origin.SELECTIONS[first.selection]}",
        f"set by hand: {', '.join(settings)}" if settings else "nothing set by hand",
        "every setting is in config.yaml of the runs",
    ]
    facts += [f"weights were given: {Path(given.path).name}, SHA-256 {given.digest}"] if given else []
    again = command_again(variant, Path(given.path).name if given else "")
    return [f"### {escape(variant.label)}, {escape(group.title)}", *_listed(facts), f"    {again}"]


def command_again(variant: Variant, weights: str = "") -> str:
    """Return the command that measures a variant again, all of its splits, seeds and protocols.

    Files that settings name and packages of plug-ins must be at hand; ``weights`` is the file that was given, if any.
    """
    first, protocols = variant.example, list(variant.records)
    sensors = sensors_of(first.dataset, protocols)
    known = usable_suites(sensors, lambda error: None) if len(protocols) > 1 else {}
    suites = (name for name, suite in known.items() if {*map(str, suite)} == {*protocols})
    words = ["--data-root", DATA_ROOT] if first.data_kind == "real" else []
    for flag, values in (
        ("--split", [split for split, _ in variant.made if split]),
        ("--seed", [str(seed) for _, seed in variant.made]),
        ("--protocol", [found] if (found := next(suites, "")) else protocols),
    ):
        words += [word for value in dict.fromkeys(values) for word in (flag, value)]
    return " ".join(filter(None, [run_command(first, weights), form_arguments(first), shlex.join(words)]))


def _figures(group: Group, variant: Variant) -> Table:
    """Return mAP with its interval for each split and seed, means over them, and what chance reaches."""
    several = len(variant.made) > 1
    columns = [Column("protocol"), *([Column("mean ± sd", "mAP", numeric=True)] if several else [])]
    columns += [Column(origin.made_in_words([one]), "mAP", numeric=True) for one in variant.made]
    columns += [Column(METRICS[name], numeric=True) for name in ("rank1", "mINP")]
    rows: list[tuple[Cell, ...]] = []
    for protocol, records in variant.records.items():
        found = {record.repetition: record for record in records}
        row: list[Cell] = [protocol]
        if several:
            values = [PERCENT * record.metrics.mAP for record in records]
            row.append(Number(statistics.fmean(values), spread=statistics.stdev(values) if len(values) > 1 else None))
        row += [_single(found[one]) if one in found else "" for one in variant.made]
        row += [variant.cell(protocol, name) for name in ("rank1", "mINP")]
        rows.append((*row, Number(PERCENT * statistics.fmean(record.chance.mAP for record in records))))
    return Table(
        title=f"{variant.label}, {group.title}",
        caption=remarks.caption([variant]),
        columns=(*columns, Column("mAP", CHANCE, numeric=True)),
        rows=tuple(rows),
        footnotes=(remarks.INTERVAL_NOTE,),
    )


def _single(record: Record) -> Number:
    low, high = record.interval.mAP if record.interval else (0.0, 0.0)
    bounds = (PERCENT * low, PERCENT * high) if record.interval else None
    return Number(PERCENT * record.metrics.mAP, interval=bounds)


def _own_limits(records: Sequence[Record]) -> Iterator[str]:
    """Yield what sets these records apart from the usual ones."""
    for record in records:
        marks = [] if record.data_kind == "real" else ["synthetic images say nothing about the published data"]
        marks += [mark for mark in origin.data_marks(record) if mark != "synthetic"]
        marks += ["the epoch was chosen by looking at the test data"] if record.selection == "best-test" else []
        marks += [f"vectors depend on the test batch of {record.feature_batch}"] if record.feature_batch else []
        yield from (f"{method_title(record.method)} on {data_title(record)}: {mark}" for mark in marks)
    if any(record.data_kind == "real" for record in records):
        yield f"{DATA_ROOT} in the commands above is the folder of the datasets; their authors hand them out"


def _listed(texts: Iterable[str]) -> list[str]:
    """Return one block with an item for each different text; none without any."""
    items = [f"- {escape(text.rstrip('.'))}." for text in dict.fromkeys(texts)]
    return ["\n".join(items)] if items else []
