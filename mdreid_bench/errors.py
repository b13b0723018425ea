"""Errors that a user can cause: one sentence each, an exit code, no traceback."""


class MdreidError(Exception):
    """Base of all expected errors; the command line prints the message alone and exits with ``exit_code``."""

    exit_code = 1


class UsageError(MdreidError):
    """An argument or configuration value is wrong."""

    exit_code = 2


class DataError(MdreidError):
    """Images, weights or records on disk are missing or not what they should be."""

    exit_code = 3
