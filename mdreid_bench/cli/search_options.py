"""Options that ``index`` and ``search`` share."""

from typing import Annotated

import typer

from mdreid_bench.cli.options import DATA_PANEL

Camera = Annotated[
    int,
    typer.Option(
        "--camera",
        help="Number of the camera that took the images, from 0, among those the method was trained with.",
        rich_help_panel=DATA_PANEL,
        min=0,
    ),
]
