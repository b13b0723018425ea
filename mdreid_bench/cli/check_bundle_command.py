"""``mdreid-bench check-bundle``: whether results that somebody sent can be believed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from mdreid_bench.bundles.finding import ALLOWABLE, Finding
from mdreid_bench.cli.command import SCORING, argument, option
from mdreid_bench.cli.console import Console
from mdreid_bench.cli.options import DEFAULT_RESULTS, AsJson, Results
from mdreid_bench.cli.values import one_of, reader
from mdreid_bench.errors import DataError
from mdreid_bench.report.origin import made_in_words
from mdreid_bench.report.table import Column, Table
from mdreid_bench.report.titles import data_title, method_title
from mdreid_bench.report.variants import ordered
from mdreid_bench.results.schema import Record
from mdreid_bench.results.store import Store
from mdreid_bench.wording import by_kind, counted, printable


@dataclass(frozen=True, kw_only=True)
class CheckOptions:
    """What ``check-bundle`` takes beside the file."""

    allow: Annotated[
        list[str],
        option(
            SCORING,
            "--allow",
            f"A kind of finding to show but pass: {', '.join(ALLOWABLE)}; may be repeated.",
            metavar="<kind>",
            parser=reader(one_of("kind", ALLOWABLE)),
        ),
    ] = field(default_factory=list)
    as_json: AsJson = False
    results: Results = DEFAULT_RESULTS


def check_bundle(
    file: Annotated[Path, argument("FILE", "A bundle, as .zip file or unpacked.")],
    options: CheckOptions,
) -> None:
    """Say whether a bundle is whole, consistent, and of which data.

    Nothing in it is believed: hashes are compared, figures are computed anew
    from the values of every query, counts are compared between records and
    with the published ones. A constant scorer, mixed data, an epoch chosen
    on test data and re-ranking are named. Open sets are measured again where
    the results folder has the embeddings of the same run. Exits with 0 when
    nothing is found that is not allowed, else with 3.

    Examples:

      mdreid-bench check-bundle theirs.zip

      mdreid-bench check-bundle theirs.zip --allow re-ranking --json
    """
    from mdreid_bench.bundles.check import check_bundle as checked

    console = Console()
    found = checked(file, console, Store(options.results))
    refused = [finding for finding in found.findings if finding.kind not in options.allow]
    rows = _contents(found.records.values())
    if options.as_json:
        findings = [
            {"kind": str(one.kind), "file": printable(one.file), "what": printable(one.what)}
            | {"allowed": one.kind in options.allow}
            for one in found.findings
        ]
        again = {"records": len(found.open_sets), "measured_again": sum(found.open_sets.values())}
        told = {"bundle": str(file), "ok": not refused, "contents": rows, "findings": findings}
        console.json(told | ({"open_sets": again} if found.open_sets else {}))
    else:
        console.table(_contents_table(file, rows))
        if found.findings:
            console.table(_findings_table(found.findings, options.allow))
    if found.open_sets:
        again_of = f"{sum(found.open_sets.values())} of {len(found.open_sets)}"
        console.message(f"Open sets measured again from embeddings in {options.results}: {again_of}.")
    if refused:
        kinds = by_kind(
            {str(k): sum(one.kind == k for one in refused) for k in dict.fromkeys(o.kind for o in refused)}
        )
        raise DataError(
            f"The bundle {file} has {counted(len(refused), 'finding')} ({kinds}); ask for a new one, or see --allow."
        )
    console.message(f"The bundle {file} is whole and consistent.")


def _contents(records: Iterable[Record]) -> list[dict[str, Any]]:
    """Return what a bundle holds: an entry for each method on each kind of data."""
    groups: dict[tuple[object, ...], list[Record]] = {}
    for record in records:
        data = (record.data_kind, record.dataset, record.sources, record.limit or 0, record.test_fingerprint)
        groups.setdefault((*data, record.method, record.preset), []).append(record)
    return [
        {
            "data": group[0].data_kind,
            "dataset": data_title(group[0]),
            "limit": group[0].limit,
            "test_fingerprint": group[0].test_fingerprint,
            "method": method_title(group[0].method),
            "preset": group[0].preset,
            "repetitions": made_in_words(ordered(record.repetition for record in group)),
            "protocols": len({record.protocol for record in group}),
            "records": len(group),
        }
        for _, group in sorted(groups.items(), key=lambda item: tuple(map(str, item[0])))
    ]


def _contents_table(file: Path, rows: Sequence[dict[str, Any]]) -> Table:
    titles = ("data", "dataset", "limit", "test data", "method", "preset", "repetitions", "protocols", "records")
    cells = [["—" if value is None else str(value) for value in row.values()] for row in rows]
    for row in cells:
        row[0], row[3] = row[0].upper() if row[0] == "synthetic" else row[0], row[3][:10]
    return Table(
        title=f"What is in {printable(file.name)}",
        columns=tuple(Column(title, numeric=title in ("limit", "protocols", "records")) for title in titles),
        rows=tuple(map(tuple, cells)),
    )


def _findings_table(findings: Sequence[Finding], allowed: Sequence[str]) -> Table:
    return Table(
        title="What must be known before it is believed",
        columns=(Column("kind"), Column("verdict"), Column("file", wide=True), Column("finding", wide=True)),
        rows=tuple(
            (str(one.kind), "allowed" if one.kind in allowed else "refused", printable(one.file), printable(one.what))
            for one in findings
        ),
    )
