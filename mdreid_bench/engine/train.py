"""Training: epochs of identity-balanced batches, resumable after each epoch."""

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mdreid_bench.config.schema import RunConfig
from mdreid_bench.data.index import DatasetIndex
from mdreid_bench.data.loading import Feeder, TrainingTriplets, worker_count
from mdreid_bench.data.sampler import IdentityBatches
from mdreid_bench.engine import checkpoint
from mdreid_bench.engine.device import pick_precision
from mdreid_bench.engine.memory import is_out_of_memory
from mdreid_bench.engine.nonfinite import Guard, OnNan, Trouble, blamed, broken_terms, is_finite_gradient
from mdreid_bench.engine.optim import build_optimizer, set_epoch
from mdreid_bench.engine.selection import selection_for
from mdreid_bench.engine.weights_facts import WeightsFacts
from mdreid_bench.errors import MdreidError
from mdreid_bench.models.method import DataFacts, Method, TrainingBatch
from mdreid_bench.progress import Reporter
from mdreid_bench.results.atomic import write_text
from mdreid_bench.results.leftovers import clear
from mdreid_bench.results.trained import TrainingFolder

_SMALLEST_SCALE = 2.0**-10
"""Gradients that overflow in half precision at this loss scale are not a matter of the scale."""
_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}


@dataclass(frozen=True)
class Labels:
    """Training labels by row.

    Attributes:
        identity: (n,) 0..C-1, identities in ascending order.
        camera: (n,).
        names: (n,) unique names of the triplets.
    """

    identity: NDArray[np.int64]
    camera: NDArray[np.int64]
    names: NDArray[np.object_]

    @classmethod
    def of(cls, index: DatasetIndex) -> "Labels":
        """Number the identities of the training frame."""
        _, identity = np.unique(index.train["identity"].to_numpy(), return_inverse=True)
        return cls(identity, index.train["camera"].to_numpy(np.int64), index.train["name"].to_numpy(object))


class Trainer:
    """Trains one method on one dataset.

    Args:
        method: built with the torch seed of the run; moved to ``device``.
        index: the dataset.
        config: the full configuration.
        folder: where weights, state and log are written.
        device: to train on.
        reporter: receives progress.
        on_nan: stop at a batch whose loss or gradient is not finite, or skip it.

    Raises:
        UsageError: when the training set cannot fill a batch.
    """

    def __init__(
        self,
        method: Method,
        index: DatasetIndex,
        config: RunConfig,
        folder: TrainingFolder,
        device: torch.device,
        reporter: Reporter,
        on_nan: OnNan = "stop",
    ) -> None:
        self.method, self.config, self.folder = method.to(device), config, folder
        self.device, self.reporter = device, reporter
        self.labels = Labels.of(index)
        self.sampler = IdentityBatches(self.labels.identity, config.batch.size, config.batch.instances, config.seed)
        workers = worker_count(config, len(index.train))
        self.feeder = Feeder(TrainingTriplets(index, config), workers, pin=device.type == "cuda")
        self.optimizer = build_optimizer(self.method, config)
        self.precision = pick_precision(config.precision, device)
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.precision == "fp16")
        self.selection = selection_for(config, index, folder, device)
        self.index = index
        self.guard = Guard(on_nan, folder, f"{config.method} on {config.dataset}")
        self.parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        self.log: list[dict[str, Any]] = []

    def run(self) -> None:
        """Train the epochs that are not done yet, and write the weights of the one that is kept.

        Raises:
            MdreidError: when a loss or gradient is not finite, or a batch does not fit into the memory.
            DataError: when the file system refuses.
        """
        first = self._resume() + 1
        self.selection.begin(first - 1)
        epochs = self.config.schedule.epochs
        with self.reporter.track(f"training {self.config.method} on {self.config.dataset}", epochs) as step:
            if first > 1:
                step(first - 1, note="resumed")
            for epoch in range(first, epochs + 1):
                entry = self._epoch(epoch)
                self.log.append(entry | self.selection.after(self.method, epoch))
                self._save(epoch)
                step(note=_note(entry))
        kept = self.selection.finish(self.method, epochs)
        checkpoint.save_weights(self.folder.weights, self.method, self._facts(kept).header())
        self.folder.forget_unfinished()

    def _facts(self, epoch: int) -> WeightsFacts:
        """Describe the weights of an epoch, so that the method can be built from their file alone."""
        return WeightsFacts.of(
            self.method,
            self.config,
            DataFacts(self.index.train["identity"].nunique(), self.index.card.cameras),
            selection=self.config.selection,
            epoch=epoch,
            dataset=self.config.dataset,
            synthetic=self.index.synthetic,
        )

    def _epoch(self, epoch: int) -> dict[str, Any]:
        """Train one epoch and return its log entry: mean of each weighted loss term, rates, skipped batches."""
        start = time.monotonic()
        torch.manual_seed(_epoch_seed(self.config.seed, epoch))
        set_epoch(self.optimizer, self.config, epoch)
        self.method.train()
        sums: dict[str, float] = {}
        steps = 0
        for number, (batch, images) in enumerate(self._batches(epoch), start=1):
            losses = self._step(batch, Place(epoch, number, images))
            if losses is None:
                continue
            for name, value in losses.items():
                sums[name] = sums.get(name, 0.0) + value
            steps += 1
        skipped = self.guard.close_epoch(steps, epoch - 1)
        return {
            "epoch": epoch,
            "steps": steps,
            "losses": {name: value / steps for name, value in sums.items()},
            "lr": [group["lr"] for group in self.optimizer.param_groups],
            "precision": self.precision,
            "seconds": round(time.monotonic() - start, 3),
            "skipped": [trouble.entry() for trouble in skipped],
        }

    def _batches(self, epoch: int) -> Iterator[tuple[TrainingBatch, tuple[str, ...]]]:
        """Yield the batches of an epoch, each with the names of its triplets."""
        size = self.config.batch.size
        rows = list(self.sampler.epoch(epoch))
        draws = [[(int(row), epoch, b * size + i) for i, row in enumerate(batch)] for b, batch in enumerate(rows)]
        for images, loaded in self.feeder(draws):
            batch = TrainingBatch(
                images={m: x.to(self.device, non_blocking=True) for m, x in images.items()},
                identity=torch.from_numpy(self.labels.identity[loaded]).to(self.device),
                camera=torch.from_numpy(self.labels.camera[loaded]).to(self.device),
            )
            yield batch, tuple(self.labels.names[loaded])

    def _step(self, batch: TrainingBatch, place: "Place") -> dict[str, float] | None:
        """Take one step and return the losses, or None when the batch was skipped."""
        try:
            return self._guarded_step(batch, place)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        raise MdreidError(self._too_large(place))

    def _guarded_step(self, batch: TrainingBatch, place: "Place") -> dict[str, float] | None:
        self.guard.remember(self.method)
        terms = self._terms(batch)
        values = {name: term.item() for name, term in terms.items()}
        broken = broken_terms(values)
        if broken:
            self.guard.meet(place.trouble("loss", broken, values), place.epoch - 1)
            return None
        total: Tensor = torch.stack(list(terms.values())).sum()
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(self.scaler.scale(total))
        if self._overflows():
            terms = self._terms(batch)
            self.guard.meet(place.trouble("gradient", blamed(terms, self.parameters), values), place.epoch - 1)
            return None
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return values

    def _terms(self, batch: TrainingBatch) -> dict[str, Tensor]:
        with torch.autocast(self.device.type, _DTYPES[self.precision], enabled=self.precision != "fp32"):
            return self.method.training_losses(batch)

    def _overflows(self) -> bool:
        """Tell whether a gradient is not finite; in half precision, whether no loss scale would help."""
        if self.scaler.is_enabled() and self.scaler.get_scale() > _SMALLEST_SCALE:
            return False
        return not is_finite_gradient(self.parameters)

    def _too_large(self, place: "Place") -> str:
        """Say that a batch needs too much memory, and what can be done."""
        size, instances = self.config.batch.size, self.config.batch.instances
        half = size // 2 // instances * instances
        smaller = f"smaller batches with --batch-size {half}, " if half > instances else ""
        kept = f" Epoch {place.epoch - 1} is kept." if place.epoch > 1 else ""
        return (
            f"Batches of {size} triplets need more memory than {self.device.type} has for training "
            f"{self.guard.what} in {self.precision}; use {smaller}smaller images with --set image.scale=0.5, or a "
            f"smaller trunk, all of which change the numbers.{kept}"
        )

    def _save(self, epoch: int) -> None:
        facts = {"epoch": epoch, "scaler": self.scaler.state_dict(), "log": self.log}
        checkpoint.save_state(self.folder.state, self.method, self.optimizer, facts)
        self._write_log()

    def _write_log(self) -> None:
        write_text(self.folder.log, "".join(json.dumps(entry) + "\n" for entry in self.log))

    def _resume(self) -> int:
        """Restore the last complete epoch and return its number, 0 when there is none."""
        clear(self.folder.path)
        if not self.folder.state.exists():
            return 0
        facts = checkpoint.load_state(self.folder.state, self.method, self.optimizer)
        if facts["scaler"]:
            self.scaler.load_state_dict(facts["scaler"])
        self.log = facts["log"]
        self._write_log()
        return int(facts["epoch"])


@dataclass(frozen=True)
class Place:
    """One step of a training: epoch and step, counted from 1, and the names of the triplets of its batch."""

    epoch: int
    step: int
    images: tuple[str, ...]

    def trouble(
        self, where: Literal["loss", "gradient"], terms: tuple[str, ...], losses: Mapping[str, float]
    ) -> Trouble:
        """Describe what went wrong here."""
        values = {name: str(value) for name, value in losses.items()}
        return Trouble(self.epoch, self.step, where, terms, values, self.images)


def _note(entry: Mapping[str, Any]) -> str:
    """Return the losses of an epoch in short, and how many batches were skipped."""
    skipped = f" ({len(entry['skipped'])} skipped)" if entry["skipped"] else ""
    return " ".join(f"{name} {value:.3f}" for name, value in entry["losses"].items()) + skipped


def _epoch_seed(seed: int, epoch: int) -> int:
    """Return the torch seed of an epoch, so that a resumed run draws the same dropout as an uninterrupted one."""
    return int(np.random.SeedSequence((seed, epoch)).generate_state(1)[0])
