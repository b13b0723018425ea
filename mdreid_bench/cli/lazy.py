"""A command group whose commands are imported when they are called, not when they are listed."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar

import typer
from typer.core import TyperGroup
from typer.main import get_command

from mdreid_bench.cli.console import Console
from mdreid_bench.cli.errors import describe


@dataclass(frozen=True)
class LazyCommand:
    """Where a command is found and how it is described in the list of commands.

    Attributes:
        target: ``"module:function"``; the function's docstring is the command's own help.
        summary: one line.
    """

    target: str
    summary: str

    def load(self, name: str) -> Any:
        """Import the command and build it."""
        module, _, attribute = self.target.partition(":")
        app = typer.Typer(add_completion=False, rich_markup_mode="rich")
        app.command(name)(getattr(import_module(module), attribute))
        return get_command(app)


class LazyGroup(TyperGroup):
    """Lists stand-ins, loads the real command once it is named, and turns expected errors into exit codes."""

    lazy: ClassVar[Mapping[str, LazyCommand]] = {}

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Find a command by name as usual, then put the real one in the place of its stand-in."""
        name, command, rest = super().resolve_command(ctx, args)
        if name is not None:
            command = self.lazy[name].load(name)
        return name, command, rest

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
            console = Console()
            if ctx.params.get("debug"):
                console.traceback()
            console.error(failure.message)
            raise typer.Exit(failure.exit_code) from None
