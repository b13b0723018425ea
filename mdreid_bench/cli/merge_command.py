"""``mdreid-bench merge``: several results folders into one."""

from pathlib import Path
from typing import Annotated

from mdreid_bench.cli.console import Console
from mdreid_bench.cli.options import DEFAULT_RESULTS, Results, argument


def merge(
    folders: Annotated[list[Path], argument("DIR...", "Results folders to join.")],
    results: Results = DEFAULT_RESULTS,
) -> None:
    """Join results folders, such as those of the shards of one plan.

    Copies records, embeddings and weights into the folder given by --results.
    When two folders have different numbers for the same cell, nothing is
    copied and the exit code is 3.

    Examples:

      mdreid-bench merge machine1/results machine2/results

      mdreid-bench merge shard-* --results all
    """
    from mdreid_bench.results.merge import merge as join
    from mdreid_bench.results.store import Store

    console, store = Console(), Store(results)
    done = join(folders, store, console)
    console.message(f"{done.records} records merged, {done.known} were there already.")
    console.result(store.runs)
