"""``mdreid-bench compare``: the difference between two runs and how sure it is."""

from typing import Annotated

import typer

from mdreid_bench.cli.console import Console
from mdreid_bench.cli.options import DATA_PANEL, DEFAULT_RESULTS, AsJson, Limit, Results
from mdreid_bench.cli.scoring_options import AveragePrecisionName

_SIDE = "the beginning of a run's key or folder name (that of several seeds: all of them), or the path of a record"


def compare(
    a: Annotated[str, typer.Argument(metavar="A", help=f"First side: {_SIDE}.", show_default=False)],
    b: Annotated[str, typer.Argument(metavar="B", help="Second side, likewise.", show_default=False)],
    protocol: Annotated[
        list[str] | None,
        typer.Option(
            "--protocol",
            help="A protocol, a suite or mixed; may be repeated. Default: all that both sides have.",
            rich_help_panel=DATA_PANEL,
            show_default=False,
        ),
    ] = None,
    average_precision: AveragePrecisionName = "standard",
    limit: Limit = None,
    as_json: AsJson = False,
    results: Results = DEFAULT_RESULTS,
) -> None:
    """Compare two runs on the queries they share.

    Shows the difference A - B in mAP and Rank-1 with its 95 % interval: a
    paired bootstrap over queries, clustered by identity.

    Examples:

      mdreid-bench compare msvr310-mdreid msvr310-single

      mdreid-bench compare 3f9c 81d2 --protocol paper-mismatched --json
    """
    from mdreid_bench.cli.compare_session import CompareSession

    console = Console()
    session = CompareSession(results, (a, b), tuple(protocol or ()), average_precision, limit, console)
    if as_json:
        console.json(session.as_json())
    else:
        console.table(session.table())
