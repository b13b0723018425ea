"""How far a run is, read from what it writes while it works; nothing is locked and nothing is written."""

import json
import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mdreid_bench.errors import DataError
from mdreid_bench.results.decoupling import PartSimilarities
from mdreid_bench.results.history import Entry, entries, read_history
from mdreid_bench.results.run_facts import RunFacts
from mdreid_bench.results.schema import Record
from mdreid_bench.results.storage.files import open_regular
from mdreid_bench.results.storage.lock import Owner, host_name, owner_of
from mdreid_bench.results.store import RunFolder, Store, load_record
from mdreid_bench.results.trained import TrainingFolder

_TAIL = 16 << 10
_QUIET_SECONDS = 15.0
"""A run whose locks are gone and whose log has been still for so long is over, whatever its last line says."""
_RECENT = 50
"""Steps by which the time of those ahead is judged."""
_OVER = re.compile(r"\] (scoring .*: (\d+)/\2 after|failed: |stopped by )")


@dataclass(frozen=True)
class Progress:
    """A run at one moment.

    Attributes:
        steps: of its training, each with ``losses`` and ``rates``; means over epochs where steps were not kept.
        looks: at the parts that the method keeps apart, during the training.
        parts: the same before the training and after it, as far as there is any.
        owner: the process that works on it; None where nobody does.
        log: its last lines.
    """

    facts: RunFacts
    steps: Sequence[Entry]
    looks: Sequence[Entry]
    parts: PartSimilarities | None
    owner: Owner | None
    log: Sequence[str]
    records: Sequence[Record]
    still: float

    @property
    def training(self) -> bool:
        """Whether its training is going on."""
        return self.owner is not None and bool(self.steps) and self.steps[-1]["step"] < self.steps[-1].get("of", 0)

    @property
    def over(self) -> bool:
        """Whether nothing more is to come."""
        if self.owner is not None:
            return False
        return self.still > _QUIET_SECONDS or (bool(self.log) and _OVER.search(self.log[-1]) is not None)

    @property
    def seconds_left(self) -> float | None:
        """How long its training takes from here, as far as the last steps can tell."""
        return seconds_left(self.steps) if self.training else None


def seconds_left(steps: Sequence[Entry]) -> float | None:
    """Return how long a training takes from its last step, as far as this and those before can tell."""
    recent = [entry for entry in steps[-_RECENT:] if "time" in entry]
    if len(recent) < 2:
        return None
    last, gained = recent[-1], recent[-1]["step"] - recent[0]["step"]
    each = (last["time"] - recent[0]["time"]) / max(gained, 1)
    return max(float(each * (last["of"] - last["step"])), 0.0)


def read_progress(store: Store, run: RunFolder) -> Progress:
    """Return how far a run is.

    Raises:
        DataError: when its description is missing or damaged.
    """
    facts = RunFacts.read(run.facts)
    training = TrainingFolder(store.root / "trained" / facts.training) if facts.training else None
    found = list(read_history(training.history)) if training else []
    steps = [entry for entry in found if "losses" in entry]
    if training and not steps:
        steps = list(_epochs(training.log))
    parts = PartSimilarities.read(run.decoupling)
    locks = [*([training.lock] if training else []), *run.path.glob("*/.*.lock"), *run.path.glob("*/*/.lock")]
    changed = [path.stat().st_mtime for path in (run.log, run.facts) if path.exists()]
    return Progress(
        facts=facts,
        steps=steps,
        looks=[entry for entry in found if "similarity" in entry],
        parts=parts or (PartSimilarities.read(training.decoupling) if training else None),
        owner=next(filter(None, map(_working, locks)), None),
        log=tail(run.log),
        records=list(_records(run)),
        still=time.time() - max(changed, default=0.0),
    )


def _epochs(log: Path) -> Iterator[Entry]:
    """Yield the epochs of a training by which no steps were kept, each as one step."""
    with suppress(OSError, ValueError, KeyError, TypeError), open_regular(log) as file:
        for line in file:
            entry = json.loads(line)
            number = int(entry["epoch"])
            yield {"step": number, "epoch": number, "losses": dict(entry["losses"]), "rates": {}}


def _working(lock: Path) -> Owner | None:
    """Return who holds a lock, judged by its file alone: to try it would be in the way of whoever wants it."""
    owner = owner_of(lock)
    if owner is None or owner.host != host_name():
        return owner
    try:
        os.kill(owner.pid, 0)
    except ProcessLookupError:
        return None
    except OSError:  # there is one, of another user
        pass
    return owner


def last_steps(history: Path) -> list[Entry]:
    """Return the last steps of a training, read from the end of its file, so that many can be looked at at once."""
    return [entry for entry in entries(tail(history)) if "losses" in entry]


def tail(log: Path) -> list[str]:
    """Return the last lines of a file; none where it cannot be read."""
    try:
        with open_regular(log) as file:
            file.seek(max(os.fstat(file.fileno()).st_size - _TAIL, 0))
            return file.read().decode("utf-8", errors="replace").splitlines()
    except OSError:
        return []


def _records(run: RunFolder) -> Iterator[Record]:
    for path in sorted(run.path.glob("*/*.json")):
        with suppress(DataError):
            yield load_record(path)
