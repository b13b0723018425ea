"""Batches of a training: labels of all, images of this process."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, count, islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mdreid_bench.config.schema import RunConfig
from mdreid_bench.data.feeding import feeder
from mdreid_bench.data.index import DatasetIndex
from mdreid_bench.data.loading import Draw, TrainingImages
from mdreid_bench.embedding.extract import embedded
from mdreid_bench.models.epoch import EpochAhead, TrainingSet
from mdreid_bench.models.method import Method, TrainingBatch
from mdreid_bench.processes.ranks import Ranks
from mdreid_bench.progress import Reporter
from mdreid_bench.training.stage import Stage
from protocols.modality import Modality

_ROUND = 1_000_003
"""Added to the number of an epoch for every further pass over the same items within it."""

Loaded = tuple[TrainingBatch, tuple[str, ...]]
"""A batch, of this process its images and cameras, and the names of all its items."""


class Pool:
    """Training items of one or several datasets, drawn from as if they were one."""

    def __init__(
        self,
        indexes: tuple[DatasetIndex, ...],
        stage: Stage,
        config: RunConfig,
        device: torch.device,
        reporter: Reporter,
        ranks: Ranks,
    ) -> None:
        self.indexes, self.stage, self.config = indexes, stage, config
        self.device, self.reporter = device, reporter
        self.identity, self.camera = stage.numbered(indexes)
        if left_out := int((self.identity < 0).sum()):
            reporter.message(f"{left_out} of {len(self.identity)} training items lack images and are left out.")
        self.seen = np.concatenate([index.train.sensors for index in indexes])
        self.names = np.concatenate([index.train.names for index in indexes])
        stream = () if indexes == stage.labelled else (1,)
        images, share = TrainingImages(indexes, config, stage.sensors, stream), config.batch.size // ranks.size
        self.feeder = feeder(images, share, config, device, reporter, ranks.size)
        self.own = slice(ranks.rank * share, (ranks.rank + 1) * share)

    def load(self, drawn: list[NDArray[np.int64]], identity: NDArray[np.int64], epoch: int) -> Iterator[Loaded]:
        """Load batches of rows (B,), or (B, sensors)."""
        shares = [self._draws(rows, epoch, place)[self.own] for place, rows in enumerate(drawn)]
        for rows, loaded in zip(drawn, self.feeder(shares), strict=True):
            first = rows if rows.ndim == 1 else rows[:, 0]
            batch = TrainingBatch(
                images=loaded.on(self.device, self.config.image),
                identity=torch.from_numpy(identity[first]).to(self.device),
                camera=self._cameras(loaded.rows),
                seen=self._seen(loaded.rows) if self.stage.partial else None,
            )
            yield batch, tuple(self.names[rows.ravel()])

    def shown(self, method: Method, *, labelled: bool) -> TrainingSet:
        """Return the items as a method may look at them, with their identities or without."""

        def embed(subsets: Sequence[Modality]) -> dict[Modality, NDArray[np.float32]]:
            parts = [
                embedded(method, i, self.config, self.device, tuple(subsets), items=i.train, reporter=self.reporter)
                for i in self.indexes
            ]
            return {subset: np.concatenate([part[subset] for part in parts]) for subset in subsets}

        return TrainingSet(self.names, self.seen, self.camera, self.identity if labelled else None, embed)

    def _cameras(self, rows: NDArray[np.int64]) -> Tensor | dict[Modality, Tensor]:
        found = torch.from_numpy(self.camera[rows]).to(self.device)
        return found if found.ndim == 1 else dict(zip(self.stage.sensors, found.unbind(1), strict=True))

    def _seen(self, rows: NDArray[np.int64]) -> dict[Modality, Tensor]:
        """Return which of some items have an image of which sensor, (b,) by sensor."""
        seen = self.seen[rows]
        return {m: torch.from_numpy((seen & m.value) != 0).to(self.device) for m in self.stage.sensors}

    def _draws(self, rows: NDArray[np.int64], epoch: int, place: int) -> list[Draw]:
        """Return what is loaded of a batch; its place in the epoch decides on the augmentation."""
        size = self.config.batch.size
        drawn = rows.tolist()
        return [(row if rows.ndim == 1 else tuple(row), epoch, place * size + i) for i, row in enumerate(drawn)]


class Batches:
    """The identity-balanced batches of a training; all processes draw the same and load a share of each.

    An epoch is one pass over the labelled items. Where a batch of unlabelled ones stands beside each of theirs, these
    are passed over as often as it takes.

    Args:
        reporter: told when there is too little memory for the loader processes.

    Raises:
        UsageError: when the training set cannot fill a batch.
    """

    def __init__(
        self, stage: Stage, config: RunConfig, device: torch.device, reporter: Reporter, ranks: Ranks
    ) -> None:
        self.labelled = Pool(stage.labelled, stage, config, device, reporter, ranks)
        self.stage, self.config = stage, config
        self.sampler = stage.sampler(self.labelled.identity, stage.labelled, config)
        target = stage.unlabelled
        self.unlabelled = None if target is None else Pool((target,), stage, config, device, reporter, ranks)

    def count(self, epoch: int) -> int:
        """Return how many batches an epoch has."""
        return sum(1 for _ in self.sampler.epoch(epoch))

    def ahead(self, method: Method, epoch: int, seed: int, tell: Callable[[str], None]) -> EpochAhead:
        """Return what a method may look at before an epoch, a seed for its draws, and where it can say something."""
        target = None if self.unlabelled is None else self.unlabelled.shown(method, labelled=False)
        counts = [self.count(number) for number in range(1, self.config.schedule.epochs + 1)]
        steps = {"done": sum(counts[: epoch - 1]), "steps": sum(counts)}
        return EpochAhead(epoch, seed, self.labelled.shown(method, labelled=True), target, tell, **steps)

    def guessed_facts(self, guessed: NDArray[np.int64], trusted: NDArray[np.bool_]) -> dict[str, float | None]:
        """Describe what a method has guessed, (n,), for the log; it learns nothing of it.

        Returns:
            How many unlabelled items can be drawn, how many are trusted, how many identities these are guessed to
            have, and the purity of these: the share of items that are of the most frequent identity among those with
            the same guess. None for the purity where the images are not synthetic, or none is trusted.
        """
        assert self.unlabelled is not None
        true, names = self.unlabelled.identity, guessed[trusted]
        most = sum(int(np.bincount(true[trusted & (guessed == name)]).max()) for name in np.unique(names))
        known = len(names) and all(index.synthetic for index in self.unlabelled.indexes)
        return {
            "items": int((true >= 0).sum()),
            "trusted": len(names),
            "identities": len(np.unique(names)),
            "purity": most / len(names) if known else None,
        }

    def epoch(self, number: int, guessed: NDArray[np.int64] | None = None) -> Iterator[Loaded]:
        """Yield the batches of an epoch, counted from 1, each with the names of all its items.

        Images and cameras are those of this process's share, identities those of the whole batch. Unlabelled items,
        where there are such, have the guessed identities, (n,); -1 for those left out.

        Raises:
            UsageError: when the items that are not left out cannot fill a batch.
        """
        drawn = list(self.sampler.epoch(number))
        batches = self.labelled.load(drawn, self.labelled.identity, number)
        if self.unlabelled is None or guessed is None:
            yield from batches
            return
        identity = np.where(self.unlabelled.identity < 0, -1, guessed)
        sampler = self.stage.sampler(identity, self.unlabelled.indexes, self.config)
        rounds = (sampler.epoch(number + again * _ROUND) for again in count())
        rows = list(islice(chain.from_iterable(rounds), len(drawn)))
        targets = self.unlabelled.load(rows, identity, number)
        for (batch, names), (target, others) in zip(batches, targets, strict=True):
            yield replace(batch, target=target), (*names, *others)
