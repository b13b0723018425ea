"""Errors that a user can cause: one sentence each, an exit code, no traceback."""

import errno

from protocols.names import UnknownNameError
from protocols.suites import BrokenSuiteError

_TRACEBACK = "run again with MDREID_DEBUG=1 for the traceback"
_TOO_LARGE = ("out of memory", "can't allocate memory", "not enough memory")


class MdreidError(Exception):
    """Base of all expected errors; the command line prints the message alone and exits with ``exit_code``."""

    exit_code = 1


class UsageError(MdreidError):
    """An argument or configuration value is wrong."""

    exit_code = 2


class DataError(MdreidError):
    """Images, weights or records on disk are missing or not what they should be."""

    exit_code = 3


def expected(error: Exception) -> MdreidError:
    """Return an error of any kind as one that can be shown, with its sentence and exit code."""
    if isinstance(error, MdreidError):
        return error
    if isinstance(error, UnknownNameError | BrokenSuiteError):
        return UsageError(str(error))
    if isinstance(error, OSError) and error.filename is not None:
        return DataError(f"Cannot use {error.filename}: {error.strerror}.")
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DataError(f"A disk is full ({error.strerror}); make room and run the same command again.")
    if is_lost_process(error):
        return MdreidError(
            "A process that reads images has died, which happens when memory is short; use fewer of them with "
            "--set data.workers=1, or none with data.workers=0."
        )
    if is_out_of_memory(error):
        return MdreidError(
            "There is too little memory; use smaller batches with --batch-size and --set evaluation.batch_size=8, "
            "fewer loader processes with --set data.workers=0, or a smaller --memory-budget."
        )
    return _invalid(error) or _of_plugin(error) or _unexpected(error)


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error means that a device or the machine has no memory left."""
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    return isinstance(error, RuntimeError) and any(phrase in str(error).lower() for phrase in _TOO_LARGE)


def is_lost_process(error: BaseException) -> bool:
    """Tell whether an error means that a process of PyTorch that reads images has died."""
    return isinstance(error, RuntimeError) and str(error).startswith("DataLoader worker")


def _invalid(error: Exception) -> UsageError | None:
    from pydantic import ValidationError  # here, because most commands never need it

    if not isinstance(error, ValidationError):
        return None
    first = error.errors(include_url=False)[0]
    path = ".".join(str(part) for part in first["loc"])
    where = f"{error.title} {path}".strip()
    return UsageError(f"Invalid value for {where}: {first['msg']}.")


def _of_plugin(error: Exception) -> UsageError | None:
    from mdreid_bench.plugins import culprit  # here, because it needs the errors of this module

    found = culprit(error)
    return UsageError(f"{found} raised {_named(error)} ({_TRACEBACK}).") if found else None


def _unexpected(error: Exception) -> MdreidError:
    return MdreidError(f"{_named(error)} (this should not happen; {_TRACEBACK} and report it).")


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".rstrip(": ")
