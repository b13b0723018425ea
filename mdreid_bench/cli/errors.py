"""What the user is told about an error, and the exit code."""

import signal
from dataclasses import dataclass
from types import FrameType

import typer

from mdreid_bench.cli.typed import Call
from mdreid_bench.errors import UsageError, expected
from mdreid_bench.results.storage.temporary import remove_held

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells expect it."""
_HELP = "NoArgsIsHelpError"
"""What typer raises to show the help of a command without arguments."""
_POLITE = (signal.SIGTERM, signal.SIGHUP)


class Stopped(KeyboardInterrupt):
    """A signal asks the process to end, as Ctrl-C does."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


def heed_signals() -> None:
    """Make SIGTERM and SIGHUP end the program as Ctrl-C does, files closed and temporary ones removed.

    A module that is being imported may turn the exception into another, so the signal then ends the program as if
    nobody heeded it, but for temporary files. So does a second one, which leaves them to the next command.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        if _importing(frame):
            remove_held()
            signal.raise_signal(number)
        raise Stopped(number)

    for number in _POLITE:
        if signal.getsignal(number) is signal.SIG_DFL:  # nohup ignores SIGHUP, and means it
            signal.signal(number, stop)


def leave_signals() -> None:
    """Let signals end the program at once again, as it is ending anyway."""
    for number in _POLITE:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


def _importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib."):
            return True
        frame = frame.f_back
    return False


@dataclass(frozen=True)
class Failure:
    """One sentence and an exit code."""

    message: str
    exit_code: int


def describe(error: BaseException, call: Call | None = None) -> Failure | None:
    """Return what to tell the user, or None for what typer itself deals with (exits, help, closed pipes).

    Where a command was called, the sentence names the option that it is about.
    """
    if isinstance(error, Stopped):
        return Failure(f"Stopped by {error}; the same command goes on from here.", 128 + error.number)
    if isinstance(error, KeyboardInterrupt):
        return Failure("Interrupted; the same command goes on from here.", INTERRUPTED)
    if isinstance(error, typer.Exit | typer.Abort | BrokenPipeError) or type(error).__name__ == _HELP:
        return None
    # Some versions of typer bundle click, so its errors cannot be recognised by their class.
    if hasattr(error, "format_message"):
        name = f"mdreid-bench {call.name}" if call else "mdreid-bench"
        text = error.format_message().rstrip(".")
        text = call.told(text, error) if call else text
        told = text if text.endswith(("?", ".")) else f"{text}; see '{name} -h'."
        return Failure(told, UsageError.exit_code)
    if not isinstance(error, Exception):
        return None
    shown = expected(error)
    return Failure(call.told(str(shown), error) if call else str(shown), shown.exit_code)
