"""``mdreid-bench bundle``: runs as one file that can be sent."""

from pathlib import Path
from typing import Annotated

from mdreid_bench.cli.command import argument
from mdreid_bench.cli.console import Console
from mdreid_bench.cli.options import DEFAULT_RESULTS, Results
from mdreid_bench.cli.values import ALL
from mdreid_bench.errors import DataError, UsageError
from mdreid_bench.wording import counted, listed


def bundle(
    runs: Annotated[list[str], argument("RUN...", "Parts of folder names of runs, or of their keys, or 'all'.")],
    out: Annotated[Path, argument("OUT", "New .zip file.")],
    results: Results = DEFAULT_RESULTS,
) -> None:
    """Write runs into one file: records, values of every query, settings.

    A model card in Markdown, the environment and a list of SHA-256 hashes go
    with them; weights, embeddings and images stay. Equal results make equal
    bytes. 'check-bundle' examines such a file, and 'merge' takes it.

    Examples:

      mdreid-bench bundle msvr310-mdreid mdreid-msvr310.zip

      mdreid-bench bundle all ours.zip --results results
    """
    from mdreid_bench.bundles.contents import make_bundle
    from mdreid_bench.results.finding import find_runs
    from mdreid_bench.results.store import Store

    if out.suffix != ".zip":
        raise UsageError(f"{out} is no name of a .zip file; name the bundle to be written behind the runs.")
    console, store = Console(), Store(results)
    if ALL in [text.casefold() for text in runs] and store.runs.is_dir():
        runs = [path.name for path in store.runs.iterdir() if path.is_dir() and not path.name.startswith(".")]
        if waiting := [name for name in runs if not any((store.runs / name).glob("*/*.json"))]:
            runs = [name for name in runs if name not in waiting]
            console.warn(f"{listed(sorted(waiting))}: no records yet, so left out.")
    folders = {folder.path.name: folder for text in runs for folder in find_runs(store, text)}
    if not folders:
        raise DataError(f"No run in {store.runs} has records; make some with 'mdreid-bench run'.")
    records = make_bundle(store, list(folders.values()), out, console)
    console.message(f"{counted(len(records), 'record')} of {counted(len(folders), 'run')} bundled.")
    console.result(out)
