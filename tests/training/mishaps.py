"""What can happen to one of two processes; each function is told the rank of the process that it is called in."""

import os
import signal
from typing import Any

from mdreid_bench.errors import DataError
from protocols.modality import R


def die_after_an_epoch(rank: int) -> None:
    """Let the leader be killed as soon as the first epoch is stored."""
    from mdreid_bench.training.state import TrainingState

    save = TrainingState.save

    def save_and_die(self: TrainingState, epoch: int) -> None:
        save(self, epoch)
        os.kill(os.getpid(), signal.SIGKILL)

    if rank == 0:
        TrainingState.save = save_and_die  # type: ignore[method-assign]


def die_in_an_epoch(rank: int) -> None:
    """Let the second process be killed in the middle of the first epoch."""
    from mdreid_bench.training.train import Trainer

    step = Trainer._step

    def step_and_die(self: Trainer, batch: Any, place: Any) -> Any:
        if rank == 1 and place.step == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return step(self, batch, place)

    Trainer._step = step_and_die  # type: ignore[method-assign]


def lose_an_image(rank: int, *, training: bool) -> None:
    """Let a file disappear just before the second process reads it."""
    from mdreid_bench.data.loading import ItemReader

    read = ItemReader.__call__

    def read_too_late(self: ItemReader, row: int) -> Any:
        if self.training == training and rank == 1:
            (self.index.root / self.images[row][R]).unlink(missing_ok=True)
        return read(self, row)

    ItemReader.__call__ = read_too_late  # type: ignore[method-assign]


def cannot_build(rank: int) -> None:
    """Let the second process miss the weights of the trunk."""
    from baselines.single_classifier import SingleClassifier

    def refuse(*_: object, **__: object) -> SingleClassifier:
        raise DataError("The weights of the trunk are not here.")

    if rank == 1:
        SingleClassifier.build = refuse  # type: ignore[method-assign]


def another_kind_of_cpu(rank: int) -> None:
    """Let bf16 pay for every trunk, but in the leader alone."""
    from mdreid_bench.processes import device

    device.WIDE = 1
    device.cpu_has_bf16 = lambda: rank == 0
