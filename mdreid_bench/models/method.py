"""The contract every method fulfils: images of any modalities in, one vector for any subset out."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mdreid_bench.config.schema import RunConfig
from mdreid_bench.errors import UsageError
from mdreid_bench.models.backbone import Backbone
from mdreid_bench.models.card import DataFacts as DataFacts
from mdreid_bench.models.card import MethodCard
from mdreid_bench.models.epoch import EpochAhead
from mdreid_bench.models.partial import Seen, with_seen
from mdreid_bench.models.released_format import ReleasedFormat
from protocols.modality import Modality

Images = Mapping[Modality, Tensor]
"""Normalised images by modality, each (B, 3, H, W) float; only the modalities that are present."""

Cameras = Tensor | Mapping[Modality, Tensor]
"""(B,) camera indices: of the items, or by sensor where the images of a row are of different items."""

Encoded = Mapping[str, Tensor]
"""What ``encode`` passes to ``embed``; names are the method's own, the first dimension of each tensor is B."""


@dataclass(frozen=True)
class TrainingBatch:
    """One identity-balanced batch with images of every sensor of the dataset.

    Attributes:
        images: (B, 3, H, W) of each sensor; where a row has none, zeros take its place, whatever was given.
        identity: (B,) labels in 0..C-1.
        camera: (B,) indices of cameras, from 0; by sensor where row i of each sensor is another item.
        target: of a method that adapts, a batch of the dataset whose identities are guessed, with those guesses.
        seen: which rows have an image of which sensor, where items have lost some; None where all have all.
    """

    images: Images
    identity: Tensor
    camera: Cameras
    target: "TrainingBatch | None" = None
    seen: Seen | None = None

    def __post_init__(self) -> None:
        if self.seen is not None:
            there = {m: rows[:, None, None, None] for m, rows in self.seen.items()}
            object.__setattr__(self, "images", {m: torch.where(there[m], x, 0.0) for m, x in self.images.items()})

    def __len__(self) -> int:
        """Return how many rows of images there are."""
        return len(next(iter(self.images.values())))

    def piece(self, rows: slice) -> tuple[Images, Cameras]:
        """Return the images and the cameras of some rows."""
        camera = self.camera
        of_rows = camera[rows] if isinstance(camera, Tensor) else {m: c[rows] for m, c in camera.items()}
        return {m: x[rows] for m, x in self.images.items()}, of_rows

    def seen_by(self, rows: slice) -> Seen | None:
        """Return which of some rows have an image of which sensor; None where all rows have all."""
        return None if self.seen is None else {m: there[rows] for m, there in self.seen.items()}

    def joined(self) -> "TrainingBatch":
        """Return the rows of the target behind those of the other datasets; without a target, the batch itself."""
        target = self.target
        if target is None:
            return self
        assert isinstance(self.camera, Tensor)
        assert isinstance(target.camera, Tensor)
        return TrainingBatch(
            {m: torch.cat([x, target.images[m]]) for m, x in self.images.items()},
            torch.cat([self.identity, target.identity]),
            torch.cat([self.camera, target.camera]),
        )


@dataclass(frozen=True)
class Decoupling:
    """Parts of an item that a method keeps apart, and how alike it wants them.

    Attributes:
        names: of the P parts, such as ``"specific R"``.
        ideal: (P, P), the cosines between them that are striven for, in the same order.
    """

    names: tuple[str, ...]
    ideal: NDArray[np.float32]


class Method(nn.Module, ABC):
    """A re-identification method: one vector for each item, compared as ``card.comparison`` says.

    Class attributes:
        card: what the method declares of itself.
        released: form of the checkpoints that the method's authors released, if there are any.

    Attributes:
        config: what the method was built with, where it was loaded from weights; else None.
    """

    card: ClassVar[MethodCard]
    released: ClassVar[ReleasedFormat | None] = None

    config: RunConfig | None = None

    @classmethod
    def skip(cls, data: DataFacts) -> str | None:
        """Say why the method cannot serve a dataset, in a few words; None where it can."""
        return None

    @classmethod
    @abstractmethod
    def build(cls, config: RunConfig, data: DataFacts) -> "Method":
        """Build the untrained method; the global torch seed is set by the caller."""

    @abstractmethod
    def backbones(self) -> Sequence[Backbone]:
        """Return the pretrained networks that the method is built on; an empty tuple says that there are none."""

    def pretrained(self) -> Iterable[nn.Parameter]:
        """Return the parameters that are trained at ``optimizer.trunk_lr``; all others have the base rate."""
        return (parameter for backbone in self.backbones() for parameter in backbone.pretrained())

    @property
    def token_width(self) -> int:
        """Width of the widest backbone, by which ``auto`` precision decides on a CPU; 0 without any."""
        return max((backbone.token_width for backbone in self.backbones()), default=0)

    def training_losses(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """Return the named loss terms, already weighted scalars; their sum is minimised.

        A method that trains overrides this, or ``losses``, which lets it take a batch apart; with ``losses`` one
        that adapts overrides ``adapting_losses`` as well.

        Raises:
            UsageError: for a method with nothing to train.
        """
        if batch.target is None:
            return self.losses(self.represented(batch.images, batch.camera, batch.seen), batch.identity)
        return self.adapting_losses(*self.represent_both(batch), batch.identity, batch.target.identity)

    @classmethod
    def shareable(cls) -> bool:
        """Say whether there are losses of what was represented before.

        Training can then represent a batch on several devices, and still compute the losses, with their mining and
        their batch statistics, over the whole batch.
        """
        return cls.losses is not Method.losses

    @classmethod
    def separable(cls) -> bool:
        """Say whether batches may be taken apart: whether, besides, items do not influence each other on the way.

        Training can then send a batch through the trunk piece by piece. A method with batch normalisation in its
        trunk overrides this.
        """
        return cls.shareable()

    def represent(self, images: Images, camera: Cameras) -> Encoded:
        """Return all that the losses need of each item, with gradient: the same as ``encode``, unless overridden.

        Items must not influence each other, but through batch normalisation where the method is not separable.

        Args:
            images: (B, 3, H, W) of every sensor of the dataset.
            camera: as in a training batch.

        Raises:
            UsageError: for cameras by sensor, unless overridden.
        """
        if not isinstance(camera, Tensor):
            raise UsageError(f"{self.card.name} does not train on images of sensors that have cameras of their own.")
        return self.encode(images, camera)

    def represent_partly(self, images: Images, camera: Cameras, seen: Seen) -> Encoded:
        """Return the same of rows of which some lack sensors and have zeros, mid-grey, in the place of images."""
        return self.represent(images, camera)

    def represented(self, images: Images, camera: Cameras, seen: Seen | None) -> Encoded:
        """Return what ``losses`` is given of some rows: with what they have, where they lack sensors."""
        if seen is None:
            return self.represent(images, camera)
        return with_seen(self.represent_partly(images, camera, seen), seen)

    def losses(self, represented: Encoded, identity: Tensor) -> dict[str, Tensor]:
        """Return the named loss terms of a whole batch, already weighted scalars; their sum is minimised.

        Args:
            represented: of the whole batch; with ``partial`` on the card, ``seen_in`` may tell who lacks what.
            identity: (B,) labels in 0..C-1.
        """
        raise UsageError(f"{self.card.name} has nothing to train; evaluate it as it is.")

    def represent_both(self, batch: TrainingBatch) -> tuple[Encoded, Encoded]:
        """Return what the losses need of the rows of a batch and of its target, for one pass over both."""
        both = self.represent(*batch.joined().piece(slice(None)))
        count = len(batch)
        return {name: x[:count] for name, x in both.items()}, {name: x[count:] for name, x in both.items()}

    def adapting_losses(
        self, labelled: Encoded, unlabelled: Encoded, identity: Tensor, guessed: Tensor
    ) -> dict[str, Tensor]:
        """Return the named loss terms of a whole batch of labelled datasets and one of the evaluated dataset.

        Args:
            labelled: what is represented of the first.
            unlabelled: what is represented of the second.
            identity: (B,) labels in 0..C-1.
            guessed: (B,) identities that ``before_epoch`` has guessed.
        """
        raise UsageError(f"{self.card.name} does not adapt to another dataset.")

    def trusted(self, guessed: Tensor) -> Tensor:
        """Return (n,) bool, which guessed identities are learned from as if they were known."""
        return guessed >= 0

    def before_epoch(self, ahead: EpochAhead) -> NDArray[np.int64] | None:
        """Get ready for an epoch: here nothing. May embed training items, cluster them, keep prototypes.

        What must outlast an interruption is in parameters or buffers. A buffer that is not persistent is no part of
        the weights, and may have another shape in every epoch.

        Returns:
            (n,) the guessed identities of the unlabelled items, from 0; -1 for those that are left out. None where
            there are no such items.
        """
        return None

    @abstractmethod
    def encode(self, images: Images, camera: Tensor) -> Encoded:
        """Run the trunk, once for each image that is present.

        Args:
            images: any non-empty set of modalities.
            camera: (B,) camera indices.
        """

    @abstractmethod
    def embed(self, encoded: Encoded, available: Modality) -> Tensor:
        """Fuse into one vector per item, (B, E) float32, E the same for all subsets.

        Args:
            encoded: result of ``encode``.
            available: the sensors that may be looked at; a subset of those that were encoded.
        """

    def decoupling(self) -> Decoupling | None:
        """Say which parts of an item the method keeps apart; None for none. Their similarity is then watched."""
        return None

    def parts(self, encoded: Encoded) -> Tensor:
        """Return the parts that ``decoupling`` names of items that all sensors saw, (B, P, D).

        Raises:
            UsageError: for a method that names none.
        """
        raise UsageError(f"{self.card.name} keeps no parts of an item apart.")

    @classmethod
    def derive(cls, embeddings: Tensor, options: Mapping[str, Any], sensors: Modality) -> Tensor:
        """Return the embeddings under some options, which spares another pass over the images.

        Args:
            embeddings: (n, E) of one subset, under the same options but those in ``derived_from``.
            options: all of the method's own.
            sensors: of the dataset.
        """
        return embeddings

    @torch.inference_mode()
    def embed_all(self, images: Images, camera: Tensor, subsets: tuple[Modality, ...]) -> dict[Modality, Tensor]:
        """Return the embedding of every subset, for one pass over the images."""
        encoded = self.encode(images, camera)
        return {subset: self.embed(encoded, subset) for subset in subsets}
