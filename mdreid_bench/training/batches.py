"""Batches of a training: labels of all, images of this process."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from mdreid_bench.config.schema import RunConfig
from mdreid_bench.data.feeding import feeder
from mdreid_bench.data.index import DatasetIndex
from mdreid_bench.data.loading import TrainingImages
from mdreid_bench.models.method import TrainingBatch
from mdreid_bench.processes.ranks import Ranks
from mdreid_bench.progress import Reporter
from mdreid_bench.training.sampler import IdentityBatches


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
        _, identity = np.unique(index.train.labels.identity, return_inverse=True)
        return cls(identity, index.train.labels.camera, index.train.names.astype(object))


class Batches:
    """The identity-balanced batches of a training; all processes draw the same and load a share of each.

    Args:
        index: its training frame is drawn from.
        config: batch size, seed, augmentation and loading.
        device: where the batches go.
        reporter: told when there is too little memory for the loader processes.
        ranks: the processes that share a batch.

    Raises:
        UsageError: when the training set cannot fill a batch.
    """

    def __init__(
        self, index: DatasetIndex, config: RunConfig, device: torch.device, reporter: Reporter, ranks: Ranks
    ) -> None:
        self.labels, self.device, self.size = Labels.of(index), device, config.batch.size
        self.sampler = IdentityBatches(self.labels.identity, config.batch.size, config.batch.instances, config.seed)
        share, self.image = config.batch.size // ranks.size, config.image
        self.feeder = feeder(TrainingImages(index, config), share, config, device, reporter, ranks.size)
        self.own = slice(ranks.rank * share, (ranks.rank + 1) * share)

    def count(self, number: int) -> int:
        """Return how many batches an epoch has."""
        return sum(1 for _ in self.sampler.epoch(number))

    def epoch(self, number: int) -> Iterator[tuple[TrainingBatch, tuple[str, ...]]]:
        """Yield the batches of an epoch, each with the names of all its triplets.

        Images and cameras are those of this process's share, identities those of the whole batch.
        """
        drawn = list(self.sampler.epoch(number))
        shares = [self._draws(rows, number, place)[self.own] for place, rows in enumerate(drawn)]
        for rows, loaded in zip(drawn, self.feeder(shares), strict=True):
            batch = TrainingBatch(
                images=loaded.on(self.device, self.image),
                identity=torch.from_numpy(self.labels.identity[rows]).to(self.device),
                camera=torch.from_numpy(self.labels.camera[loaded.rows]).to(self.device),
            )
            yield batch, tuple(self.labels.names[rows])

    def _draws(self, rows: NDArray[np.int64], epoch: int, place: int) -> list[tuple[int, int, int]]:
        """Return what is loaded of a batch; its place in the epoch decides on the augmentation."""
        return [(int(row), epoch, place * self.size + i) for i, row in enumerate(rows)]
