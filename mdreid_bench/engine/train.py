"""Training: epochs of identity-balanced batches, resumable after each epoch."""

import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
from mdreid_bench.engine.optim import build_optimizer, set_epoch
from mdreid_bench.errors import MdreidError
from mdreid_bench.models.method import Method, TrainingBatch
from mdreid_bench.progress import Reporter
from mdreid_bench.results.atomic import write_text
from mdreid_bench.results.trained import TrainingFolder

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
        self.log: list[dict[str, Any]] = []

    def run(self) -> None:
        """Train the epochs that are not done yet, and write the weights of the last one."""
        first = self._resume() + 1
        epochs = self.config.schedule.epochs
        with self.reporter.track(f"training {self.config.method} on {self.config.dataset}", epochs) as step:
            if first > 1:
                step(first - 1, note="resumed")
            for epoch in range(first, epochs + 1):
                entry = self._epoch(epoch)
                self.log.append(entry)
                self._save(epoch)
                step(note=" ".join(f"{name} {value:.3f}" for name, value in entry["losses"].items()))
        checkpoint.save_weights(self.folder.weights, self.method, {"epoch": epochs})
        self.folder.state.unlink(missing_ok=True)

    def _epoch(self, epoch: int) -> dict[str, Any]:
        """Train one epoch and return its log entry: mean of each weighted loss term, rates, seconds."""
        start = time.monotonic()
        torch.manual_seed(_epoch_seed(self.config.seed, epoch))
        set_epoch(self.optimizer, self.config, epoch)
        self.method.train()
        sums: dict[str, float] = {}
        steps = 0
        for number, batch in enumerate(self._batches(epoch), start=1):
            losses = self._step(batch, f"epoch {epoch}, step {number}")
            for name, value in losses.items():
                sums[name] = sums.get(name, 0.0) + value
            steps = number
        return {
            "epoch": epoch,
            "steps": steps,
            "losses": {name: value / steps for name, value in sums.items()},
            "lr": [group["lr"] for group in self.optimizer.param_groups],
            "precision": self.precision,
            "seconds": round(time.monotonic() - start, 3),
        }

    def _batches(self, epoch: int) -> Iterator[TrainingBatch]:
        size = self.config.batch.size
        rows = list(self.sampler.epoch(epoch))
        draws = [[(int(row), epoch, b * size + i) for i, row in enumerate(batch)] for b, batch in enumerate(rows)]
        for images, loaded in self.feeder(draws):
            yield TrainingBatch(
                images={m: x.to(self.device, non_blocking=True) for m, x in images.items()},
                identity=torch.from_numpy(self.labels.identity[loaded]).to(self.device),
                camera=torch.from_numpy(self.labels.camera[loaded]).to(self.device),
            )

    def _step(self, batch: TrainingBatch, where: str) -> dict[str, float]:
        with torch.autocast(self.device.type, _DTYPES[self.precision], enabled=self.precision != "fp32"):
            terms = self.method.training_losses(batch)
        values = {name: term.item() for name, term in terms.items()}
        for name, value in values.items():
            if not math.isfinite(value):
                raise MdreidError(
                    f"The loss {name!r} became {value} at {where} of {self.config.method} on {self.config.dataset}; "
                    f"a lower optimizer.lr may help, and the state before this epoch is kept in {self.folder.state}."
                )
        total: Tensor = torch.stack(list(terms.values())).sum()
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(self.scaler.scale(total))
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return values

    def _save(self, epoch: int) -> None:
        facts = {"epoch": epoch, "scaler": self.scaler.state_dict()}
        checkpoint.save_state(self.folder.state, self.method, self.optimizer, facts)
        write_text(self.folder.log, "".join(json.dumps(entry) + "\n" for entry in self.log))

    def _resume(self) -> int:
        """Restore the last complete epoch and return its number, 0 when there is none."""
        if not self.folder.state.exists():
            return 0
        facts = checkpoint.load_state(self.folder.state, self.method, self.optimizer)
        if facts["scaler"]:
            self.scaler.load_state_dict(facts["scaler"])
        epoch = int(facts["epoch"])
        self.log = _read_log(self.folder.log, epoch)
        return epoch


def _read_log(path: Path, epochs: int) -> list[dict[str, Any]]:
    try:
        entries = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError):
        return []
    return [entry for entry in entries if entry["epoch"] <= epochs]


def _epoch_seed(seed: int, epoch: int) -> int:
    """Return the torch seed of an epoch, so that a resumed run draws the same dropout as an uninterrupted one."""
    return int(np.random.SeedSequence((seed, epoch)).generate_state(1)[0])
