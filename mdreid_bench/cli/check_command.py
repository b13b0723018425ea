"""``mdreid-bench check``: everything that is wrong with a dataset, in one table."""

from typing import Annotated, Any

from mdreid_bench.cli.console import Console
from mdreid_bench.cli.options import AsJson, DataRoot, argument
from mdreid_bench.cli.values import chosen_one
from mdreid_bench.data import registry
from mdreid_bench.data.check import CheckReport, check_dataset
from mdreid_bench.data.location import resolve_data_root
from mdreid_bench.errors import DataError
from mdreid_bench.report.table import Column, Table
from mdreid_bench.wording import counted, printable


def check(
    dataset: Annotated[str, argument("DATASET", "A dataset.")],
    data_root: DataRoot = None,
    as_json: AsJson = False,
) -> None:
    """Read every image of a dataset and list all faults.

    Looks for missing and extra files, images that do not decode, sizes that
    differ, names outside the grammar, identities in both train and test,
    queries without a valid positive, duplicates, and counts other than the
    published ones. Exits with 0 when there is none, else with 3.

    Examples:

      mdreid-bench check msvr310 --data-root /data

      mdreid-bench check rgbnt201 --data-root /data --json
    """
    console = Console()
    name = chosen_one(dataset, registry.names(), "dataset")
    location = resolve_data_root(data_root, name, console)
    console.message(f"Data: {location.reason}")
    report = check_dataset(name, location.root, console)
    if as_json:
        console.json(_tree(name, report))
    elif report.findings:
        console.table(_table(report))
    if report.findings:
        count = counted(len(report.findings), "fault")
        raise DataError(f"{report.title} in {report.folder} has {count}; repair the files and check again.")
    if not as_json:
        console.result(f"No faults in the {report.files} files of {report.title}, {report.items} items.")


def _table(report: CheckReport) -> Table:
    mark = " (synthetic)" if report.synthetic else ""
    return Table(
        title=f"{report.title}{mark}: what is wrong",
        columns=(Column("kind"), Column("file", wide=True), Column("fault", wide=True)),
        rows=tuple((str(f.kind), printable(f.path), printable(f.what)) for f in report.findings),
        footnotes=(f"{report.files} files were read in {report.folder}, {report.items} items are complete.",),
    )


def _tree(name: str, report: CheckReport) -> dict[str, Any]:
    return {
        "dataset": name,
        "folder": str(report.folder),
        "synthetic": report.synthetic,
        "files": report.files,
        "items": report.items,
        "faults": [
            {"kind": str(f.kind), "path": printable(f.path), "what": printable(f.what)} for f in report.findings
        ],
    }
