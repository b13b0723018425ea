"""``mdreid-bench merge``: several results folders and bundles into one."""

from pathlib import Path
from typing import Annotated

from mdreid_bench.cli.command import argument
from mdreid_bench.cli.console import Console
from mdreid_bench.cli.options import DEFAULT_RESULTS, Results


def merge(
    folders: Annotated[list[Path], argument("DIR...", "Results folders and bundles to join.")],
    results: Results = DEFAULT_RESULTS,
) -> int:
    """Join results folders, such as those of the shards of one plan, and bundles.

    Copies records, embeddings and weights into the folder given by --results.
    All files are read and checked first. When two folders have different
    numbers for the same cell, or a file is damaged or belongs to something
    else, nothing is copied and the exit code is 3. Folders that cannot be
    read are named and left behind; the exit code is then 1.

    Examples:

      mdreid-bench merge machine1/results machine2/results

      mdreid-bench merge shard-* --results all

      mdreid-bench merge theirs.zip
    """
    from mdreid_bench.results.store import Store
    from mdreid_bench.runs.merge import merge as join

    console, store = Console(), Store(results)
    done = join(folders, store, console)
    for folder in done.unreadable:
        console.warn(f"{folder}; what lies in it was left behind.")
    console.message(f"{done.records} records merged, {done.known} were there already.")
    console.result(store.runs)
    return 1 if done.unreadable else 0
