"""All pairs of methods for ``mdreid-bench compare``, and published figures against our intervals."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

from mdreid_bench.cli.console import Console
from mdreid_bench.errors import DataError, UsageError
from mdreid_bench.evaluation.contest import Entrant, Standing, made_of, standings
from mdreid_bench.models.mdreid.ablation import is_ablated
from mdreid_bench.report.contest import letters_table, pairs_table, published_table
from mdreid_bench.report.origin import data_marks
from mdreid_bench.report.sensors import sensors_of
from mdreid_bench.report.table import Table
from mdreid_bench.report.variants import Variant, group_variants
from mdreid_bench.results import published
from mdreid_bench.results.finding import find_runs, find_scope
from mdreid_bench.results.form import Form
from mdreid_bench.results.schema import Record
from mdreid_bench.results.store import Store, load_record
from mdreid_bench.wording import counted
from protocols.modality import Modality
from protocols.protocol import protocols_of
from protocols.suites import SUITES, resolve

ORDER = {str(protocol): place for place, protocol in enumerate(protocols_of(~Modality(0)))}
"""Place of a protocol among all."""


@dataclass(frozen=True, eq=False)
class Contest:
    """What is compared.

    Attributes:
        protocols: those that all have, or that were asked for.
        suite: the one name that was asked for, if it is that of a suite.
    """

    variants: Sequence[Variant]
    entrants: Sequence[Entrant]
    protocols: Sequence[str]
    suite: str

    def standings(self, metric: str, console: Console) -> list[Standing]:
        """Compare all pairs by a metric."""
        made = made_of(self.entrants, self.protocols)
        with console.track("reading the values of queries", sum(map(len, made)) * len(self.protocols)) as step:
            return standings(self.entrants, self.protocols, metric, step)

    def tables(self, metric: str, found: Sequence[Standing], against_published: bool) -> list[Table]:
        """Build the tables of a metric."""
        made = [set(one) for one in made_of(self.entrants, self.protocols)]
        shown = [
            replace(v, records={p: tuple(r for r in v.records[p] if r.repetition in own) for p in self.protocols})
            for v, own in zip(self.variants, made, strict=True)
        ]
        tables = (
            [letters_table(shown, found, metric), pairs_table(shown, found[-1], metric)] if len(shown) > 1 else []
        )
        if against_published:
            figures = [figure for figure in published.figures() if figure.metric == metric]
            tables += [table for table in [published_table(shown, found, metric, figures, self.suite)] if table]
        return tables

    def plain(self, metric: str, found: Sequence[Standing]) -> list[dict[str, Any]]:
        """Return what ``--json`` shows of a metric."""
        labels = [variant.label for variant in self.variants]
        return [
            {
                "protocol": one.name,
                "metric": metric,
                "methods": [
                    {"method": label, "mean": mean, "low": low, "high": high, "spread": spread, "letters": letters}
                    for label, mean, (low, high), spread, letters in zip(
                        labels, one.means, one.intervals, one.spreads, one.letters, strict=True
                    )
                ],
                "luck": one.luck,
                "pairs": [
                    {
                        "a": labels[pair.a],
                        "b": labels[pair.b],
                        "difference": pair.difference.mean,
                        "low": pair.difference.low,
                        "high": pair.difference.high,
                        "p": pair.p,
                        "p_holm": pair.corrected,
                    }
                    for pair in one.pairs
                ],
            }
            for one in found
        ]


def contest_of(
    store: Store, texts: Sequence[str], protocols: Sequence[str], limit: int | None, form: Form, console: Console
) -> Contest:
    """Return all configurations that the texts mean, each a part of names of runs or the path of a record.

    Raises:
        UnknownNameError: for an unknown run or protocol.
        UsageError: when they are on several datasets, or have no protocol in common.
        DataError: when a record must not be believed, or no run was evaluated.
    """
    places: dict[Path, Record] = {}
    for text in texts:
        places |= _meant(store, text, limit, form, console)
    records = list(places.values())
    data = sorted({" from ".join([record.dataset, *record.sources]) for record in records})
    if not records:
        raise DataError(f"There is nothing to compare of {', '.join(texts)}; make records with 'mdreid-bench score'.")
    if len(data) > 1:
        raise UsageError(
            f"{', '.join(texts)} means runs on {', '.join(data)}; name those of one, such as {data[0].split()[0]}-."
        )
    variants = group_variants(records)
    chosen = _protocols(variants, protocols)
    where = {id(record): path for path, record in places.items()}
    entrants = [
        Entrant(
            variant.label,
            variant.example.selection != "none",
            {name: {r.repetition: where[id(r)] for r in found} for name, found in variant.records.items()},
        )
        for variant in variants
    ]
    suite = protocols[0].lower() if len(protocols) == 1 and protocols[0].lower() in SUITES else ""
    return Contest(variants, entrants, chosen, suite)


def check_published(contest: Contest) -> None:
    """Check that the runs may be set against published figures at all.

    Raises:
        UsageError: when they were not measured on the full published data, without re-ranking.
    """
    marks = data_marks(contest.variants[0].example)
    if marks:
        raise UsageError(
            f"--published is for runs on the published images and whole test sets; these are {', '.join(marks)}."
        )


def _meant(store: Store, text: str, limit: int | None, form: Form, console: Console) -> dict[Path, Record]:
    """Return the records that a text means, by path.

    Ablated variants of a method are left out, where the text means the method as proposed too; a key names them.
    """
    if text.endswith(".json"):
        return {Path(text): load_record(Path(text))}
    found: dict[Path, Record] = {}
    for folder in find_runs(store, text):
        paths: list[Path] = []
        with suppress(DataError):  # never evaluated, or not with this limit
            paths = sorted(path for path in find_scope(folder, limit).path.iterdir() if path.suffix == ".json")
        of_run = {path: record for path in paths if form.is_of(record := load_record(path))}
        if not of_run:
            console.warn(
                f"{folder.path.name} has no record of that form and is left out; make some with 'mdreid-bench score'."
            )
        found |= of_run
    ablated = {path for path, record in found.items() if is_ablated(record.method, record.options)}
    whole = {record.method for path, record in found.items() if path not in ablated}
    aside = {path for path in ablated if found[path].method in whole}
    if aside:
        runs = len({found[path].folder_name for path in aside})
        console.warn(f"{counted(runs, 'run')} of ablated variants left out; name them by their keys to compare them.")
    return {path: record for path, record in found.items() if path not in aside}


def _protocols(variants: Sequence[Variant], names: Sequence[str]) -> list[str]:
    known = set(chain.from_iterable(variant.records for variant in variants))
    wanted = [str(setting) for setting in resolve(names, sensors_of(variants[0].example.dataset, known))]
    if not wanted:
        shared = set.intersection(*(set(variant.records) for variant in variants))
        if not shared:
            labels = ", ".join(variant.label for variant in variants)
            raise UsageError(f"{labels} have no protocol in common; score them with 'mdreid-bench score'.")
        return sorted(shared, key=lambda name: (ORDER.get(name, len(ORDER)), name))
    for variant in variants:
        for name in wanted:
            if name not in variant.records:
                run = variant.example.folder_name
                raise UsageError(
                    f"{variant.label} has no record under {name}; make it with 'mdreid-bench score --run {run} "
                    f"--protocol {name}', or name the others alone."
                )
    return wanted
