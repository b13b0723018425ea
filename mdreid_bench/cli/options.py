"""Options that several commands share, so that they read alike everywhere."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from protocols.names import UnknownNameError

DATA_PANEL = "Data"
OUTPUT_PANEL = "Output"
ALL = "all"
"""Stands for every registered name."""

DataRoot = Annotated[
    Path | None,
    typer.Option(
        "--data-root",
        help="Folder that holds the datasets. Default: MDREID_DATA, else synthetic data, generated once.",
        rich_help_panel=DATA_PANEL,
        show_default=False,
    ),
]
Datasets = Annotated[
    list[str],
    typer.Option("--dataset", help="A dataset, or 'all'; may be repeated.", rich_help_panel=DATA_PANEL),
]
Results = Annotated[
    Path,
    typer.Option(
        "--results",
        envvar="MDREID_RESULTS",
        help="Folder of records, checkpoints and embeddings.",
        rich_help_panel=OUTPUT_PANEL,
    ),
]
AsJson = Annotated[
    bool,
    typer.Option("--json", help="Write JSON instead of a table.", rich_help_panel=OUTPUT_PANEL),
]


def chosen(names: Iterable[str], valid: Sequence[str], kind: str) -> list[str]:
    """Return the valid names that were meant: in order of mention, each once; ``all`` stands for every one.

    Args:
        names: as typed, in any case.
        valid: the registered names.
        kind: what they name, for the error.

    Raises:
        UnknownNameError: for a name that is neither valid nor ``all``.
    """
    found: dict[str, None] = {}
    for name in names:
        folded = name.lower()
        if folded != ALL and folded not in valid:
            raise UnknownNameError(kind, name, [*valid, ALL])
        found.update(dict.fromkeys(valid if folded == ALL else [folded]))
    return list(found)
