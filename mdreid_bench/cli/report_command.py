"""``mdreid-bench report``: the paper's tables from the stored records."""

from pathlib import Path
from typing import Annotated

import typer

from mdreid_bench.cli.console import Console
from mdreid_bench.cli.options import DATA_PANEL, DEFAULT_RESULTS, METHOD_PANEL, OUTPUT_PANEL, Results

DEFAULT_OUT = Path("results/tables")


def report(
    dataset: Annotated[
        list[str] | None,
        typer.Option(
            "--dataset",
            help="Only this dataset; may be repeated.",
            rich_help_panel=DATA_PANEL,
            show_default=False,
        ),
    ] = None,
    suite: Annotated[
        list[str] | None,
        typer.Option(
            "--suite",
            help="Only the tables of this suite; may be repeated. Default: those of the paper.",
            rich_help_panel=DATA_PANEL,
            show_default=False,
        ),
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            help="Only this method; may be repeated. Default: all with records, and all in the paper's tables.",
            rich_help_panel=METHOD_PANEL,
            show_default=False,
        ),
    ] = None,
    published: Annotated[
        bool,
        typer.Option(
            "--published/--no-published",
            help="Show the published figures and the difference to ours.",
            rich_help_panel=OUTPUT_PANEL,
        ),
    ] = True,
    latex: Annotated[
        bool, typer.Option("--latex", help="Write LaTeX documents with booktabs.", rich_help_panel=OUTPUT_PANEL)
    ] = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Write Markdown with heat maps.", rich_help_panel=OUTPUT_PANEL)
    ] = False,
    csv: Annotated[
        bool, typer.Option("--csv", help="Write CSV, one line a number.", rich_help_panel=OUTPUT_PANEL)
    ] = False,
    html: Annotated[
        bool,
        typer.Option(
            "--html", help="Write one page with tables, heat maps and CMC curves.", rich_help_panel=OUTPUT_PANEL
        ),
    ] = False,
    out: Annotated[
        Path, typer.Option("--out", help="Folder for the files; made when missing.", rich_help_panel=OUTPUT_PANEL)
    ] = DEFAULT_OUT,
    results: Results = DEFAULT_RESULTS,
) -> None:
    """Make the tables of the paper from the stored records.

    Matched, mismatched and missing sensors, ablation, the grid of all 49
    protocols and the cost, beside the published figures. Nothing is measured:
    what was not run is a dash. Without a format the tables are shown here.

    Examples:

      mdreid-bench report --latex --html

      mdreid-bench report --dataset rgbnt201 --suite missing --no-published
    """
    from mdreid_bench.cli.report_session import Arguments, ReportSession

    wanted = {"latex": latex, "markdown": markdown, "csv": csv, "html": html}
    arguments = Arguments(
        datasets=tuple(dataset or ()),
        methods=tuple(method or ()),
        suites=tuple(suite or ()),
        published=published,
        formats=[name for name, given in wanted.items() if given],
        out=out,
        results=results,
    )
    if not ReportSession(arguments, Console()).carry_out():
        raise typer.Exit(1)
