"""Training: epochs of identity-balanced batches, resumable after each epoch."""

import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mdreid_bench.config.schema import RunConfig, UntrainedCameras
from mdreid_bench.data.index import DatasetIndex
from mdreid_bench.errors import MdreidError, UsageError, is_out_of_memory
from mdreid_bench.models.method import Method, TrainingBatch
from mdreid_bench.processes.device import pick_precision
from mdreid_bench.processes.ranks import ALONE, Ranks
from mdreid_bench.processes.shared_norm import share_statistics
from mdreid_bench.progress import Reporter, Step
from mdreid_bench.results.trained import TrainingFolder
from mdreid_bench.training.batches import Batches
from mdreid_bench.training.forward import Forward
from mdreid_bench.training.nonfinite import Guard, OnNan, Place, Trouble, blamed, broken_terms, is_finite_gradient
from mdreid_bench.training.optimiser import build_optimizer, set_epoch
from mdreid_bench.training.selection import BestTest, Selection
from mdreid_bench.training.stage import Stage
from mdreid_bench.training.state import TrainingState
from mdreid_bench.training.watched import Watched
from mdreid_bench.weights import checkpoint
from mdreid_bench.weights.weights_header import WeightsHeader
from mdreid_bench.wording import arrow

_SMALLEST_SCALE = 2.0**-10
"""When gradients overflow in half precision even at this loss scale, a smaller scale would not help."""


class Trainer:
    """Trains one method on one dataset.

    Args:
        method: built with the torch seed of the run; moved to ``device``.
        folder: where weights, state and log are written.
        on_nan: stop at a batch whose loss or gradient is not finite, or skip it.
        ranks: the processes that share every batch; the leader alone writes.
        stage: what the epochs are drawn from; the training items of the dataset if None.
        tensorboard: whether the leader writes events of TensorBoard.

    Raises:
        UsageError: when the training set cannot fill a batch, or a batch cannot be taken apart as asked for.
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
        ranks: Ranks = ALONE,
        stage: Stage | None = None,
        tensorboard: bool = False,
    ) -> None:
        self.method, self.config, self.folder = method.to(device), config, folder
        self.device, self.reporter, self.ranks = device, reporter, ranks
        self.stage = stage or Stage((index,))
        self.batches = Batches(self.stage, config, device, reporter, self.ranks)
        self.cameras: UntrainedCameras = config.source_cameras if config.sources else "mean"
        if self.cameras == "off":
            for backbone in method.backbones():
                backbone.leave_cameras_out()
        self.optimizer = build_optimizer(self.method, config)
        self.precision = pick_precision(config.precision, device, method.token_width)
        self.forward = Forward(self.method, config, self.precision, self.ranks)
        if self.stage.unlabelled and config.memory.micro_batch:
            raise UsageError(
                f"{config.method} has batches of two datasets in a step, which are not taken apart; leave out "
                "memory.micro_batch."
            )
        if config.data.missing and ranks.size > 1 and not method.separable():
            raise UsageError(
                f"With data.missing, processes have different numbers of images of a sensor, and {config.method} "
                "needs statistics of all of them; start one process."
            )
        if ranks.size > 1:
            share_statistics(self.method, ranks)
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.precision == "fp16")
        looks = config.selection == "best-test" and ranks.leads
        self.selection = BestTest(index, config, folder, device) if looks else Selection()
        self.index = index
        self.trained_cameras = torch.from_numpy(self.stage.trained_cameras).to(device)
        self.name = f"{config.method} on {arrow(config.sources, config.dataset)}"
        self.guard = Guard(on_nan, folder, self.name, writes=self.ranks.leads)
        self.parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        self.state = TrainingState(self.method, self.optimizer, self.scaler, folder, ranks)
        where = (folder, self.method, index, self.stage.facts.modalities, config, device)
        self.watched = Watched(*where, tensorboard) if ranks.leads else None

    def run(self) -> None:
        """Train the epochs that are not done yet, and write the weights of the one that is kept.

        Raises:
            MdreidError: when a loss or gradient is not finite, a batch does not fit into the memory, or another
                process fails.
            DataError: when the file system refuses.
        """
        done, epochs = self._begin(), self.config.schedule.epochs
        counts = [self.batches.count(epoch) for epoch in range(1, epochs + 1)]
        with self.ranks.together():
            if self.watched is not None:
                self.watched.begin(done, counts)
        with self.reporter.track(f"training {self.name}", sum(counts)) as step:
            if done:
                step(sum(counts[:done]), note=f"epoch {done}/{epochs}, resumed")
            for epoch in range(done + 1, epochs + 1):
                self._prepare(epoch)
                entry = self._epoch(epoch, counts[epoch - 1], step)
                with self.ranks.together():
                    if self.ranks.leads:
                        self.state.log.append(entry | self.selection.after(self.method, epoch))
                        self.state.save(epoch)
                    if self.watched is not None:
                        self.watched.epoch(epoch)
                step(0, note=f"epoch {epoch}/{epochs}, {_note(entry)}")
        with self.ranks.together():
            if self.ranks.leads:
                kept = self.selection.finish(self.method, epochs)
                checkpoint.save_weights(self.folder.weights, self.method, self._facts(kept).header())
                self.folder.forget_unfinished()
            if self.watched is not None:
                self.watched.close()

    def _begin(self) -> int:
        """Take up what an earlier process has left, in all processes, and return how many epochs that is."""
        with self.ranks.together():
            done = self.state.resume() if self.ranks.leads else 0
            self.selection.begin(done)
        return self.state.share(done)

    def _prepare(self, epoch: int) -> None:
        """Let a method that wants to look at the data before an epoch do so, and keep what it found."""
        state = self.state
        if type(self.method).before_epoch is Method.before_epoch or state.prepared == epoch:
            return
        seed = _epoch_seed(self.config.seed, epoch, 0)
        torch.manual_seed(seed)
        with self.ranks.together():
            if self.ranks.leads:
                state.said = []
                ahead = self.batches.ahead(self.method, epoch, seed, self._tell)
                state.guessed, state.prepared = self.method.before_epoch(ahead), epoch
                state.save(epoch - 1)
        self.ranks.share_weights(self.method)
        state.share_preparation()

    def _tell(self, text: str) -> None:
        """Pass on what the method says of an epoch, and keep it for the log."""
        self.state.said.append(text)
        self.reporter.message(text)

    def _guesses(self) -> dict[str, Any]:
        """Return what the log says of the identities that were guessed for an epoch; nothing where none were."""
        guessed = self.state.guessed
        if guessed is None:
            return {}
        trusted = self.method.trusted(torch.from_numpy(guessed)).numpy()
        return {"guessed": self.batches.guessed_facts(guessed, trusted), "said": self.state.said}

    def _facts(self, epoch: int) -> WeightsHeader:
        """Describe the weights of an epoch, so that the method can be built from their file alone."""
        return WeightsHeader.of(
            self.method,
            self.config,
            self.stage.facts,
            selection=self.config.selection,
            epoch=epoch,
            dataset=self.config.dataset,
            sources=self.config.sources,
            source_cameras=self.cameras if self.config.sources else None,
            missing=self.config.data.missing,
            synthetic=any(index.synthetic for index in (self.index, *self.stage.seen)),
            threads=torch.get_num_threads(),
        )

    def _epoch(self, epoch: int, count: int, advance: Step) -> dict[str, Any]:
        """Train one epoch and return its log entry: mean of each weighted loss term, rates, skipped batches."""
        start = time.monotonic()
        torch.manual_seed(_epoch_seed(self.config.seed, epoch, self.ranks.rank))
        set_epoch(self.optimizer, self.config, epoch)
        self.method.train()
        sums: dict[str, float] = {}
        steps = 0
        batches = self.batches.epoch(epoch, self.state.guessed)
        for number in range(1, count + 1):
            with self.ranks.together():
                batch, names = next(batches)
            losses = self._step(batch, Place(epoch, number, names))
            advance()
            if losses is None:
                continue
            if self.watched is not None:
                rates = {group["name"]: group["lr"] for group in self.optimizer.param_groups}
                self.watched.step(epoch, number, losses, rates)
            for name, value in losses.items():
                sums[name] = sums.get(name, 0.0) + value
            steps += 1
        for backbone in self.method.backbones():
            backbone.settle_cameras(self.trained_cameras, self.cameras)
        skipped = self.guard.close_epoch(steps, epoch - 1)
        return {
            "epoch": epoch,
            "steps": steps,
            "losses": {name: value / steps for name, value in sums.items()},
            "lr": [group["lr"] for group in self.optimizer.param_groups],
            "precision": self.precision,
            "threads": torch.get_num_threads(),
            "seconds": round(time.monotonic() - start, 3),
            "skipped": [asdict(trouble) for trouble in skipped],
            **self._guesses(),
        }

    def _step(self, batch: TrainingBatch, place: Place) -> dict[str, float] | None:
        """Take one step and return the losses, or None when the batch was skipped."""
        self.guard.remember(self.method)
        try:
            terms = self.forward(batch)
            values = {name: term.item() for name, term in terms.items()}
            broken = broken_terms(values)
            if broken:
                self.guard.meet(Trouble.at(place, "loss", broken, values), place.epoch - 1)
                return None
            total: Tensor = torch.stack(list(terms.values())).sum()
            self.optimizer.zero_grad(set_to_none=True)
            with self.ranks.together():
                self.scaler.scale(total).backward()  # type: ignore[no-untyped-call]
            self.ranks.average_gradients(self.parameters)
            if self._overflows():
                terms = self.forward(batch)
                trouble = Trouble.at(place, "gradient", blamed(terms, self.parameters), values)
                self.guard.meet(trouble, place.epoch - 1)
                return None
            with self.ranks.together():
                self.scaler.step(self.optimizer)
            self.scaler.update()
            return values
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        raise MdreidError(self._too_large(place))

    def _overflows(self) -> bool:
        """Tell whether a gradient is not finite; in half precision, whether no loss scale would help."""
        if self.scaler.is_enabled() and self.scaler.get_scale() > _SMALLEST_SCALE:
            return False
        return not is_finite_gradient(self.parameters)

    def _too_large(self, place: Place) -> str:
        """Say that a batch needs too much memory, and what can be done."""
        size, instances = self.config.batch.size, self.config.batch.instances
        half = size // 2 // instances * instances
        smaller = f"smaller batches with --batch-size {half}, " if half > instances else ""
        kept = f" Epoch {place.epoch - 1} is kept." if place.epoch > 1 else ""
        at_once = self.config.memory.micro_batch or size
        return (
            f"Batches of {size} items, {at_once} at once, need more memory than {self.device.type} has for "
            f"training {self.guard.what} in {self.precision}; set memory.micro_batch={max(1, at_once // 2)} or "
            f"memory.checkpointing=true, which take time but change no losses, or use {smaller}smaller images with "
            f"--set image.scale=0.5, or a smaller trunk, which change the numbers.{kept}"
        )


def _note(entry: Mapping[str, Any]) -> str:
    """Return the losses of an epoch in short, how many guesses were trusted, and how many batches were skipped."""
    skipped = f" ({len(entry['skipped'])} skipped)" if entry["skipped"] else ""
    found = entry.get("guessed")
    guesses = f"; {found['trusted']} of {found['items']} guesses trusted" if found else ""
    return " ".join(f"{name} {value:.3f}" for name, value in entry["losses"].items()) + guesses + skipped


def _epoch_seed(seed: int, epoch: int, rank: int) -> int:
    """Return the torch seed of an epoch, so that a resumed run draws the same dropout as an uninterrupted one."""
    place = (seed, epoch, rank) if rank else (seed, epoch)
    return int(np.random.SeedSequence(place).generate_state(1)[0])
