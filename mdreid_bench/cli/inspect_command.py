"""``mdreid-bench inspect``: pictures of what a run retrieved."""

from pathlib import Path
from typing import Annotated, Literal

from mdreid_bench.cli.command import DATA, METHODS, OUTPUT, option
from mdreid_bench.cli.console import Console
from mdreid_bench.cli.options import DEFAULT_RESULTS, DataRoot, Limit, MemoryBudget, Results
from mdreid_bench.cli.values import choice, count
from mdreid_bench.results.finding import find_run, find_scope
from mdreid_bench.results.store import Store
from protocols.ranking import DEFAULT_MEMORY_BUDGET


def inspect(
    run: Annotated[str, option(METHODS, "--run", "The run: the beginning of its key or of its folder's name.")],
    protocol: Annotated[
        str | None,
        option(DATA, "--protocol", "A protocol such as R-to-NT, or mixed-0.3-s1. Default: the dataset's own first."),
    ] = None,
    data_root: DataRoot = None,
    images: Annotated[
        bool, option(DATA, "--images/--no-images", "Show the images, or do without them.", default=True)
    ] = True,
    queries: Annotated[
        int, count(OUTPUT, "--queries", "Number of queries to show of each kind.", least=1, default=True)
    ] = 5,
    query: Annotated[
        list[str], option(DATA, "--query", "Name of a query to show besides, as lists show it; may be repeated.")
    ] = [],  # noqa: B006 - typer copies it
    projection: Annotated[
        Literal["pca", "tsne"],
        choice(
            OUTPUT, "--projection", "Of the maps: pca, or tsne, which takes longer.", ("pca", "tsne"), default=True
        ),
    ] = "pca",
    out: Annotated[
        Path | None,
        option(
            OUTPUT, "--out", "Folder for the files; made when missing. Default: inspect/RUN/PROTOCOL in --results."
        ),
    ] = None,
    memory_budget: MemoryBudget = DEFAULT_MEMORY_BUDGET,
    limit: Limit = None,
    results: Results = DEFAULT_RESULTS,
) -> None:
    """Show what a run retrieved, from its stored embeddings and the images.

    Ranked lists with right, wrong and excluded items, the worst and the most
    typical failures, identities that are confused, similarities of right and
    wrong pairs, maps of the embeddings, what tokens attend to, how alike the
    parts of an item are: as SVG and PNG, and on one page. Without the images,
    what can be shown without them.

    Examples:

      mdreid-bench inspect --run msvr310-mdreid --protocol R-to-NT

      mdreid-bench inspect --run 3f9c --data-root DATA --projection tsne

      mdreid-bench inspect --run 3f9c --no-images --out pictures
    """
    from mdreid_bench.inspection.inspected import Inspected
    from mdreid_bench.inspection.session import write_inspection

    console = Console()
    folder = find_run(Store(results), run)
    scope = find_scope(folder, limit)
    inspected = Inspected.open(
        folder, scope, protocol, data_root, console, images=images, memory_budget=memory_budget
    )
    for warning in inspected.warnings():
        console.warn(warning)
    place = out or results / "inspect" / folder.path.name / str(inspected.compared.setting)
    for path in write_inspection(inspected, place, queries, query, projection, console):
        console.result(path)
