"""Methods whose trunk can pass over a part of a batch at a time."""

from abc import abstractmethod

from torch import Tensor

from mdreid_bench.errors import UsageError
from mdreid_bench.models.method import Cameras, Encoded, Images, Method, TrainingBatch


class SeparableMethod(Method):
    """A method whose losses need nothing of the images but what the trunk makes of each of them.

    Training can then send a batch through the trunk piece by piece, or on several devices, and still compute the
    losses, with their mining and their batch statistics, over the whole batch.
    """

    def represent(self, images: Images, camera: Cameras) -> Encoded:
        """Return all that the losses need of each item, with gradient: the same as ``encode``, unless overridden.

        Items must not influence each other.

        Args:
            images: (B, 3, H, W) of every sensor of the data set.
            camera: as in a training batch.

        Raises:
            UsageError: for cameras by sensor, unless overridden.
        """
        if not isinstance(camera, Tensor):
            raise UsageError(f"{self.card.name} does not train on images of sensors that have cameras of their own.")
        return self.encode(images, camera)

    @abstractmethod
    def losses(self, represented: Encoded, identity: Tensor) -> dict[str, Tensor]:
        """Return the named loss terms of a whole batch, already weighted scalars; their sum is minimised.

        Args:
            represented: result of ``represent``, of the whole batch.
            identity: (B,) labels in 0..C-1.
        """

    def training_losses(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """Return the loss terms of a batch that passes the trunk at once."""
        return self.losses(self.represent(batch.images, batch.camera), batch.identity)
