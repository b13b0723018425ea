"""What a training writes of itself while it runs, for whoever watches it: a line of JSON for each step.

Nothing is made of it but curves: no number, no key and no weight depends on it. A line is appended when its step is
done, so that a killed process loses none but the last. Lines of an epoch that is trained again are forgotten first.
"""

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from mdreid_bench.errors import DataError
from mdreid_bench.results.storage.atomic import make_folder, write_text
from mdreid_bench.results.storage.files import open_own, read_regular

_LARGEST = 256 << 20
Entry = dict[str, Any]
"""``step`` (from 1), ``epoch`` and ``time`` (seconds since 1970). Of a step also ``of`` (steps in all), ``epochs``,
``losses`` and ``rates`` by name; of a look at the parts that a method keeps apart ``names``, ``similarity`` (P, P),
and its ``distance`` to the ideal."""


class History:
    """The file of one training, which one process at a time writes; one that cannot be written stops nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def begin(self, steps: int) -> list[Entry]:
        """Open the file, forget what came after a number of steps, and return the rest."""
        found = list(read_history(self.path))
        kept = [entry for entry in found if entry["step"] <= steps]
        if self.path.exists() and len(kept) < len(found):
            with suppress(DataError):
                write_text(self.path, "".join(json.dumps(entry) + "\n" for entry in kept))
        with suppress(OSError):
            make_folder(self.path.parent)
            self._descriptor = open_own(self.path, os.O_WRONLY | os.O_APPEND)
        return kept

    def add(self, entry: Entry) -> None:
        """Append a line."""
        if self._descriptor is not None:
            with suppress(OSError):
                os.write(self._descriptor, (json.dumps(entry) + "\n").encode())

    def close(self) -> None:
        """Close the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def read_history(path: Path) -> Iterator[Entry]:
    """Yield the lines of a file, whoever is writing it; see :func:`entries`."""
    try:
        lines = read_regular(path, _LARGEST).splitlines()
    except OSError:
        return
    yield from entries(lines)


def entries(lines: Iterable[bytes | str]) -> Iterator[Entry]:
    """Yield what lines of such a file hold; one that is not complete is left out."""
    for line in lines:
        with suppress(ValueError, RecursionError):
            entry = json.loads(line)
            if isinstance(entry, dict) and all(isinstance(entry.get(key), int) for key in ("step", "epoch")):
                yield entry
