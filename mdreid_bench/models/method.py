"""The contract every method fulfils: images of any modalities in, one vector for any subset out."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from mdreid_bench.config.schema import RunConfig
from mdreid_bench.models.card import MethodCard
from mdreid_bench.weights.released_format import ReleasedFormat
from protocols.modality import RNT, Modality

Images = Mapping[Modality, Tensor]
"""Normalised images by modality, each (B, 3, H, W) float; only the modalities that are present."""

Cameras = Tensor | Mapping[Modality, Tensor]
"""(B,) camera indices: of the items, or by sensor where the images of a row are of different items."""

Encoded = Mapping[str, Tensor]
"""What ``encode`` passes to ``embed``; names are the method's own, the first dimension of each tensor is B."""

Rate = Literal["trunk", "base"]


@dataclass(frozen=True)
class DataFacts:
    """What a method must know of the training data to size its parts.

    Attributes:
        identities: number of training identities C.
        cameras: number of cameras, the rows of the camera table.
        modalities: the sensors of the data set; a method has parts for each of them.
    """

    identities: int
    cameras: int
    modalities: Modality = RNT


@dataclass(frozen=True)
class TrainingBatch:
    """One identity-balanced batch with images of every sensor of the data set.

    Attributes:
        images: (B, 3, H, W) of each sensor.
        identity: (B,) labels in 0..C-1.
        camera: (B,) indices of cameras, from 0; by sensor where row i of each sensor is another item.
    """

    images: Images
    identity: Tensor
    camera: Cameras

    def __len__(self) -> int:
        """Return how many rows of images there are."""
        return len(next(iter(self.images.values())))

    def piece(self, rows: slice) -> tuple[Images, Cameras]:
        """Return the images and the cameras of some rows."""
        camera = self.camera
        of_rows = camera[rows] if isinstance(camera, Tensor) else {m: c[rows] for m, c in camera.items()}
        return {m: x[rows] for m, x in self.images.items()}, of_rows


class Method(nn.Module, ABC):
    """A re-identification method; similarity of two items is the inner product of their embeddings.

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
        """Say why the method cannot serve a data set, in a few words; None where it can."""
        return None

    @classmethod
    @abstractmethod
    def build(cls, config: RunConfig, data: DataFacts) -> "Method":
        """Build the untrained method; the global torch seed is set by the caller."""

    @abstractmethod
    def training_losses(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """Return the named loss terms, already weighted scalars; their sum is minimised."""

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

    @classmethod
    def derive(cls, embeddings: Tensor, options: Mapping[str, Any], sensors: Modality) -> Tensor:
        """Return the embeddings under some options, which spares another pass over the images.

        Args:
            embeddings: (n, E) of one subset, under the same options but those in ``derived_from``.
            options: all of the method's own.
            sensors: of the data set.
        """
        return embeddings

    def rate(self, parameter: str) -> Rate:
        """Say which learning rate the parameter of this name gets."""
        trunk = parameter.startswith("trunk.") and not parameter.startswith("trunk.camera")
        return "trunk" if trunk else "base"

    @torch.inference_mode()
    def embed_all(self, images: Images, camera: Tensor, subsets: tuple[Modality, ...]) -> dict[Modality, Tensor]:
        """Return the embedding of every subset, for one pass over the images."""
        encoded = self.encode(images, camera)
        return {subset: self.embed(encoded, subset) for subset in subsets}
