"""Writes down how a training goes, step by step, for whoever watches it; changes nothing in it."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mdreid_bench.config.schema import RunConfig
from mdreid_bench.data.index import DatasetIndex
from mdreid_bench.embedding.decoupling import mean_similarity
from mdreid_bench.errors import is_out_of_memory
from mdreid_bench.models.method import Method
from mdreid_bench.results.decoupling import distance
from mdreid_bench.results.history import Entry, History, read_history
from mdreid_bench.results.trained import TrainingFolder
from protocols.modality import Modality

_SHARE = 0.05
"""Of the time since the last look at the parts of an item, the most that another look may take."""


class Watched:
    """One training; of the processes that train, the leader has one.

    Args:
        index: whose test items are looked at, where the method keeps parts of an item apart.
        sensors: those that the method knows.
        tensorboard: whether the steps are written as events of TensorBoard too.
    """

    def __init__(
        self,
        folder: TrainingFolder,
        method: Method,
        index: DatasetIndex,
        sensors: Modality,
        config: RunConfig,
        device: torch.device,
        tensorboard: bool = False,
    ) -> None:
        self.method, self.index, self.sensors, self.device = method, index, sensors, device
        self.config = config.model_copy(
            update={"evaluation": config.evaluation.model_copy(update={"compile": False})}
        )
        self.history = History(folder.history)
        self.events = Events(folder.events) if tensorboard else None
        self._ends: list[int] = []
        self._took, self._looked = 0.0, time.monotonic()

    def begin(self, done: int, counts: Sequence[int]) -> None:
        """Go on after ``done`` epochs of an earlier process, which may have written more; all have these counts."""
        self._ends = [0, *np.cumsum(counts).tolist()]
        kept = self.history.begin(self._ends[done])
        if self.events is not None:
            self.events.begin(kept)

    def step(self, epoch: int, number: int, losses: Mapping[str, float], rates: Mapping[str, float]) -> None:
        """Write down a step of an epoch, both from 1."""
        self._write(
            {
                "step": self._ends[epoch - 1] + number,
                "epoch": epoch,
                "of": self._ends[-1],
                "epochs": len(self._ends) - 1,
            }
            | {"losses": dict(losses), "rates": dict(rates)}
        )

    def epoch(self, epoch: int) -> None:
        """Look at how alike the parts of test items are after an epoch, where there are any and it takes no time."""
        wanted, start = self.method.decoupling(), time.monotonic()
        if wanted is None or self._took > _SHARE * (start - self._looked):
            return
        try:
            found, items = mean_similarity(self.method, wanted, self.index, self.sensors, self.config, self.device)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            self._took = float("inf")  # the training itself may well have enough
            return
        self._looked = time.monotonic()
        self._took = self._looked - start
        if items and np.isfinite(found).all():
            self._write(
                {"step": self._ends[epoch], "epoch": epoch, "names": list(wanted.names), "similarity": found.tolist()}
                | {"distance": distance(found, wanted.ideal)}
            )

    def close(self) -> None:
        """Say that nothing more comes."""
        self.history.close()
        if self.events is not None:
            self.events.close()

    def _write(self, entry: Entry) -> None:
        entry["time"] = round(time.time(), 2)
        self.history.add(entry)
        if self.events is not None:
            self.events.add(entry)
            self.events.flush()


class Events:
    """The same as events of TensorBoard, in a folder that is written anew by whoever goes on with a training."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._writer: Any = None

    def begin(self, entries: Sequence[Entry]) -> None:
        """Replace what is there by what was written down of earlier steps."""
        from torch.utils.tensorboard import SummaryWriter

        for path in self.folder.glob("events.out.tfevents.*"):
            path.unlink()
        self._writer = SummaryWriter(str(self.folder))
        for entry in entries:
            self.add(entry)
        self.flush()

    def add(self, entry: Entry) -> None:
        """Write the numbers of an entry."""
        losses = entry.get("losses", {})
        found = {f"loss/{name}": value for name, value in losses.items()}
        found |= {"loss/total": sum(losses.values())} if losses else {}
        found |= {f"rate/{name}": value for name, value in entry.get("rates", {}).items()}
        found |= {"parts/distance to the ideal": entry["distance"]} if "distance" in entry else {}
        for tag, value in found.items():
            self._writer.add_scalar(tag, value, entry["step"], walltime=entry.get("time"))

    def flush(self) -> None:
        """Give everything to the file system, so that a running TensorBoard sees it."""
        self._writer.flush()

    def close(self) -> None:
        """Close the file."""
        self._writer.close()


def write_events(folder: TrainingFolder) -> None:
    """Write the events of a training that is over, unless they are there or nothing was written down of it."""
    entries = list(read_history(folder.history))
    if entries and not folder.events.is_dir():
        events = Events(folder.events)
        events.begin(entries)
        events.close()
