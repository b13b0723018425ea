"""What the user is told about an error, and the exit code."""

from dataclasses import dataclass

import typer

from mdreid_bench.errors import DataError, MdreidError, UsageError
from protocols.names import UnknownNameError

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells expect it."""


@dataclass(frozen=True)
class Failure:
    """One sentence and an exit code."""

    message: str
    exit_code: int


def describe(error: BaseException) -> Failure | None:
    """Return what to tell the user, or None for what typer itself deals with (usage errors, exits, closed pipes)."""
    if isinstance(error, KeyboardInterrupt):
        return Failure("Interrupted.", INTERRUPTED)
    if isinstance(error, MdreidError):
        return Failure(str(error), error.exit_code)
    if isinstance(error, UnknownNameError):
        return Failure(str(error), UsageError.exit_code)
    # Some versions of typer carry a click of their own, so its errors are known by what they can do.
    if isinstance(error, typer.Exit | typer.Abort | BrokenPipeError) or hasattr(error, "format_message"):
        return None
    if isinstance(error, OSError) and error.filename is not None:
        return Failure(f"Cannot use {error.filename}: {error.strerror}.", DataError.exit_code)
    return _invalid(error) or _unexpected(error)


def _invalid(error: BaseException) -> Failure | None:
    from pydantic import ValidationError  # here, because most commands never need it

    if not isinstance(error, ValidationError):
        return None
    first = error.errors(include_url=False)[0]
    path = ".".join(str(part) for part in first["loc"])
    where = f"{error.title} {path}".strip()
    return Failure(f"Invalid value for {where}: {first['msg']}.", UsageError.exit_code)


def _unexpected(error: BaseException) -> Failure:
    what = f"{type(error).__name__}: {error}".rstrip(": ")
    hint = "this should not happen; run again with MDREID_DEBUG=1 for the traceback and report it"
    return Failure(f"{what} ({hint}).", MdreidError.exit_code)
