"""``mdreid-bench check``: everything that is wrong with a dataset, in one table."""

from typing import Annotated

import typer

from mdreid_bench.cli.console import Console
from mdreid_bench.cli.options import AsJson, DataRoot


def check(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="A dataset.", show_default=False)],
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
    from mdreid_bench.cli.check_session import show_check

    show_check(dataset, data_root, Console(), as_json=as_json)
