"""The command line: which commands there are, and the options that come before them."""

from importlib.metadata import version
from typing import Annotated

import typer

from mdreid_bench.cli.command import LazyGroup, tell
from mdreid_bench.cli.console import Console, ready_streams, release_streams, writing
from mdreid_bench.cli.errors import describe, heed_signals, leave_signals

COMMANDS = {
    "run": "Train methods or reuse them, evaluate them and print the table.",
    "ablate": "Measure what each part of MDReID contributes.",
    "watch": "Watch a run at work, its losses as curves and the time left.",
    "report": "Make the tables of the paper from the stored records.",
    "score": "Score runs again from stored embeddings, without model and images.",
    "compare": "Show the difference between two runs and how sure it is.",
    "inspect": "Show in pictures what a run retrieved.",
    "index": "Make a gallery of images searchable with a trained method.",
    "search": "Search an index for the object on one image or several.",
    "check": "Read every image of a dataset and list all faults.",
    "merge": "Join results folders, such as those of shards, and bundles.",
    "bundle": "Write runs into one file that can be sent.",
    "check-bundle": "Say whether a bundle is whole, consistent, and of which data.",
    "verify": "Compare given weights with the figures published for them.",
    "convert": "Turn a released PyTorch checkpoint into a weights file.",
    "show-config": "Print every setting of a run, with its meaning and source.",
    "list": "List the methods, datasets, protocols, suites or presets.",
    "synth": "Write synthetic images in the layout of the real datasets.",
}
"""What each command does, in one line; the function that carries it out gives its own help."""

app = typer.Typer(
    name="mdreid-bench",
    cls=LazyGroup,
    no_args_is_help=True,
    add_completion=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        Console().result(f"mdreid-bench {version('mdreid-bench')}")
        raise typer.Exit


@app.callback()
def main_options(
    debug: Annotated[
        bool, typer.Option("--debug", envvar="MDREID_DEBUG", help="Show the traceback of an error.")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Benchmark any-to-any multi-modal object re-identification.

    A query photographed in some of RGB (R), near infrared (N) and thermal (T)
    must find the same person or vehicle in a gallery photographed in some
    others: R-to-NT is one of 49 protocols.

    Examples:

      mdreid-bench run --dataset msvr310 --protocol R-to-NT

      mdreid-bench list protocols
    """


def _stand_in() -> None:
    """Hold the place of a command in the list; the group loads the real one."""


for _name, _summary in COMMANDS.items():
    app.command(_name, help=_summary)(_stand_in)


def main() -> None:
    """Run the command line and exit.

    Commands end with the exit code of their error; what goes wrong before or after them does so here.
    """
    heed_signals()
    ready_streams()
    try:
        with writing():
            app(prog_name="mdreid-bench")
    except (Exception, KeyboardInterrupt) as error:
        failure = describe(error)
        if failure is None:
            raise
        tell(failure)
        raise SystemExit(failure.exit_code) from None
    finally:
        leave_signals()
        release_streams()
