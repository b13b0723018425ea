"""How a command is made of a function: imported when it is called, its options taken from a dataclass."""

import inspect
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import MISSING, fields, is_dataclass
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, get_args, get_type_hints

import typer
from typer.core import TyperGroup
from typer.main import get_command

from mdreid_bench.cli.console import Console
from mdreid_bench.cli.errors import Failure, describe
from mdreid_bench.cli.typed import Call
from mdreid_bench.errors import MdreidError

DATA, METHODS, TRAINING, SCORING, CLUSTER, OUTPUT = "Data", "Methods", "Training", "Scoring", "Jobs", "Output"
PANELS = ("Studies", DATA, METHODS, TRAINING, SCORING, CLUSTER, OUTPUT)
"""Panels of a help page, in order."""
CALL = "mdreid_bench.call"
"""Under which a context of typer keeps what was typed."""


def option(panel: str, flag: str, help: str, default: bool = False, **more: Any) -> Any:
    """Declare an option of a panel of the help page, which may show its default; ``more`` is for ``typer.Option``."""
    return typer.Option(flag, help=help, rich_help_panel=panel, show_default=default, **more)


def registered(kind: str) -> str:
    """Return the names of all methods or datasets, as help pages list them; nothing is imported for it."""
    return ", ".join(sorted({entry.name for entry in entry_points(group=f"mdreid_bench.{kind}")}))


def argument(metavar: str, help: str) -> Any:
    """Declare an argument that must be given."""
    return typer.Argument(metavar=metavar, help=help, show_default=False)


def load(name: str) -> Any:
    """Import a command and build it: ``show-config`` is the function ``show_config`` of ``show_config_command``.

    The name of a function that would hide one of Python's own ends with an underscore.
    """
    stem = name.replace("-", "_")
    module = import_module(f"mdreid_bench.cli.{stem}_command")
    app = typer.Typer(
        add_completion=False, rich_markup_mode="rich", context_settings={"help_option_names": ["-h", "--help"]}
    )
    app.command(name)(with_options(getattr(module, stem, None) or getattr(module, f"{stem}_")))
    return get_command(app)


def with_options(function: Callable[..., int | None]) -> Callable[..., None]:
    """Return what typer is to call: where ``function`` takes a dataclass, one parameter for each of its fields.

    What the function returns is the exit code, None for 0.
    """
    hints = get_type_hints(function, include_extras=True)
    shown: list[inspect.Parameter] = []
    groups: dict[str, list[str]] = {}
    for parameter in inspect.signature(function).parameters.values():
        kind = hints[parameter.name]
        if is_dataclass(kind):
            found = _of_fields(kind)
            groups[parameter.name] = [one.name for one in found]
        else:
            found = [parameter.replace(annotation=kind, kind=inspect.Parameter.KEYWORD_ONLY)]
        shown += found

    def call(**typed: Any) -> None:
        given = {name: _expanded(value) for name, value in typed.items()}
        bundles = {name: hints[name](**{own: given.pop(own) for own in names}) for name, names in groups.items()}
        if code := function(**given, **bundles):
            raise typer.Exit(code)

    shown.sort(key=_panel)  # of help pages: the same order everywhere
    call.__doc__, call.__name__ = function.__doc__, function.__name__
    call.__annotations__ = {one.name: one.annotation for one in shown}
    call.__signature__ = inspect.Signature(shown)  # type: ignore[attr-defined]
    return call


def _expanded(value: Any) -> Any:
    """Expand ``~`` in paths, which shells leave as it is in ``--out=~/tables``; unknown users stay as they are."""
    if isinstance(value, list):
        return [_expanded(one) for one in value]
    return Path(os.path.expanduser(value)) if isinstance(value, Path) else value


def _panel(parameter: inspect.Parameter) -> int:
    panels = [getattr(declared, "rich_help_panel", None) for declared in get_args(parameter.annotation)]
    return max((PANELS.index(panel) for panel in panels if panel in PANELS), default=-1)


def _of_fields(kind: Any) -> list[inspect.Parameter]:
    """Return the fields of a dataclass as parameters."""
    hints = get_type_hints(kind, include_extras=True)
    made = {one.name: one.default_factory() for one in fields(kind) if one.default_factory is not MISSING}
    parameters = inspect.signature(kind).parameters.values()
    return [one.replace(annotation=hints[one.name], default=made.get(one.name, one.default)) for one in parameters]


class LazyGroup(TyperGroup):
    """Lists stand-ins, loads the real command once it is named, and turns expected errors into exit codes."""

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Read what stands before the command.

        Raises:
            typer.Exit: with the exit code of the error, after its message was shown.
        """
        try:
            return super().make_context(info_name, args, parent, **extra)
        except Exception as error:
            failure = describe(error) if hasattr(error, "format_message") else None
            if failure is None:
                raise
            tell(failure)
            raise typer.Exit(failure.exit_code) from None

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Find a command by name as usual, then put the real one in the place of its stand-in.

        Raises:
            UsageError: for an argument without text, or one without its option.
        """
        name, command, rest = super().resolve_command(ctx, args)
        loaded = command if name is None else load(name)
        ctx.meta[CALL] = Call(name or "", loaded, tuple(rest))
        ctx.meta[CALL].refuse()
        return name, loaded, rest

    def invoke(self, ctx: Any) -> Any:
        """Run the command.

        Raises:
            typer.Exit: with the exit code of the error, after its message was shown.
        """
        try:
            return super().invoke(ctx)
        except (Exception, KeyboardInterrupt) as error:
            failure = describe(error, ctx.meta.get(CALL))
            if failure is None:
                raise
            tell(failure, debug=ctx.params.get("debug", False))
            raise typer.Exit(failure.exit_code) from None


def tell(failure: Failure, *, debug: bool = False) -> None:
    """Show an error, where there is something to say and somebody to read it."""
    with suppress(MdreidError):
        if debug:
            Console().traceback()
        if failure.message:
            Console().error(failure.message)
