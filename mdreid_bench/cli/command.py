"""How a command is made of a function: imported when it is called, its options taken from a dataclass."""

import inspect
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import MISSING, fields, is_dataclass
from importlib import import_module
from importlib.metadata import entry_points
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args, get_type_hints

import typer
from typer.core import TyperGroup
from typer.main import get_command

from mdreid_bench.cli.console import Console
from mdreid_bench.cli.errors import Failure, describe
from mdreid_bench.errors import MdreidError, UsageError

DATA, METHODS, TRAINING, SCORING, OUTPUT = "Data", "Methods", "Training", "Scoring", "Output"
PANELS = ("Studies", DATA, METHODS, TRAINING, SCORING, OUTPUT)
"""Panels of a help page, in order."""


def option(panel: str, flag: str, help: str, default: bool = False, **more: Any) -> Any:
    """Declare an option of a panel of the help page, which may show its default; ``more`` is for ``typer.Option``."""
    return typer.Option(flag, help=help, rich_help_panel=panel, show_default=default, **more)


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
    return max(PANELS.index(panel) if panel in PANELS else -1 for panel in panels)


def _of_fields(kind: Any) -> list[inspect.Parameter]:
    """Return the fields of a dataclass as parameters."""
    hints = get_type_hints(kind, include_extras=True)
    made = {one.name: one.default_factory() for one in fields(kind) if one.default_factory is not MISSING}
    parameters = inspect.signature(kind).parameters.values()
    return [one.replace(annotation=hints[one.name], default=made.get(one.name, one.default)) for one in parameters]


class LazyGroup(TyperGroup):
    """Lists stand-ins, loads the real command once it is named, and turns expected errors into exit codes."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Find a command by name as usual, then put the real one in the place of its stand-in.

        Raises:
            UsageError: for an argument without text, or one without its option.
        """
        name, command, rest = super().resolve_command(ctx, args)
        _refuse_empty(rest)
        loaded = command if name is None else load(name)
        _refuse_bare(name or "", loaded, rest)
        return name, loaded, rest

    def invoke(self, ctx: Any) -> Any:
        """Run the command.

        Raises:
            typer.Exit: with the exit code of the error, after its message was shown.
        """
        try:
            return super().invoke(ctx)
        except (Exception, KeyboardInterrupt) as error:
            failure = describe(error)
            if failure is None:
                raise
            tell(failure, debug=ctx.params.get("debug", False))
            raise typer.Exit(failure.exit_code) from None


def _refuse_empty(arguments: Sequence[str]) -> None:
    """Refuse arguments without text: as a path, that is the folder one is in, as the beginning of a name any one."""
    for before, argument in pairwise(("", *arguments)):
        option, equals, value = argument.partition("=") if argument.startswith("--") else (before, "=", argument)
        if equals and not value.strip():
            called = option if option.startswith("--") else "An argument"
            raise UsageError(f"{called} has no value; perhaps it was to come from a variable that is not set.")


def _refuse_bare(name: str, command: Any, arguments: Sequence[str]) -> None:
    """Refuse a word before any option, where the command takes no such words; say which option it may belong to."""
    takes = {one.param_type_name for one in command.params}
    if not arguments or arguments[0].startswith("-") or "argument" in takes:
        return
    word, flags = arguments[0], [flag for one in command.params for flag in one.opts]
    likely = [flag for flag in ("--dataset", "--method") if flag in flags and _registered(flag, word)]
    likely += ["--protocol"] if not likely and "--protocol" in flags and "-to-" in word else []
    meant = f"did you mean {likely[0]} {word}?" if likely else f"its options are listed by 'mdreid-bench {name} -h'."
    raise UsageError(f"{name} takes options only, and {word!r} is none; {meant}")


def _registered(flag: str, word: str) -> bool:
    return word in {entry.name for entry in entry_points(group=f"mdreid_bench.{flag.removeprefix('--')}s")}


def tell(failure: Failure, *, debug: bool = False) -> None:
    """Show an error, where there is something to say and somebody to read it."""
    with suppress(MdreidError):
        if debug:
            Console().traceback()
        if failure.message:
            Console().error(failure.message)
