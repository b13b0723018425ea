"""One pass over the distinct test images, seven embedding matrices on disk."""

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mdreid_bench.config.schema import RunConfig
from mdreid_bench.data.index import DatasetIndex
from mdreid_bench.data.loading import Feeder, TestTriplets, worker_count
from mdreid_bench.engine import checkpoint
from mdreid_bench.engine.memory import is_out_of_memory, release
from mdreid_bench.engine.parts import Parts
from mdreid_bench.errors import MdreidError
from mdreid_bench.evaluation.embeddings import EmbeddingFolder, TestItems
from mdreid_bench.models.method import Method
from mdreid_bench.progress import Reporter, Silent
from protocols.modality import SUBSETS, Modality


def extract(
    method: Method,
    index: DatasetIndex,
    config: RunConfig,
    folder: EmbeddingFolder,
    device: torch.device,
    reporter: Reporter,
) -> None:
    """Embed every distinct test triplet for all seven subsets and store the result.

    An extraction that was interrupted is continued after its last complete part.

    Args:
        method: trained; put into evaluation mode on ``device``.
        index: its test frame is embedded row by row.
        config: image size and batch size.
        folder: where the matrices go; complete once its item table exists.
        device: to compute on.
        reporter: receives progress.

    Raises:
        DataError: when the file system refuses.
        MdreidError: when not even a single triplet fits into the memory.
    """
    count = len(index.test)
    weights = checkpoint.digest(method.state_dict())
    parts = Parts(folder, {"test": index.test_fingerprint, "rows": count, "weights": weights})
    first = parts.begin()
    with reporter.track(f"extracting {config.method} on {config.dataset}", count) as step:
        if first:
            step(first, note="resumed")
        for rows, vectors in embedded(method, index, config, device, SUBSETS, first=first, reporter=reporter):
            parts.add(rows, vectors)
            step(len(rows))
    parts.flush()
    parts.join(count)
    folder.write_items(TestItems.of(index))
    Parts.remove(folder)


def embedded(
    method: Method,
    index: DatasetIndex,
    config: RunConfig,
    device: torch.device,
    subsets: tuple[Modality, ...],
    *,
    first: int = 0,
    reporter: Reporter | None = None,
) -> Iterator[tuple[NDArray[np.int64], dict[Modality, NDArray[np.float32]]]]:
    """Yield the rows of the test frame batch by batch, with their embedding (b, E) for each subset.

    The method is put into evaluation mode on ``device``. Batches that do not fit into the memory are halved.

    Args:
        method: trained.
        index: its test frame is embedded.
        config: image size and batch size.
        device: to compute on.
        subsets: to embed.
        first: row to begin with.
        reporter: told when batches are halved.

    Raises:
        MdreidError: when not even a single triplet fits into the memory.
    """
    embedder = _Embedder(method.to(device).eval(), device, subsets, config, reporter or Silent())
    count, size = len(index.test), config.evaluation.batch_size
    cameras = torch.from_numpy(index.test["camera"].to_numpy(np.int64, copy=True))
    feeder = Feeder(TestTriplets(index, config), worker_count(config, count), pin=device.type == "cuda")
    batches = [range(start, min(start + size, count)) for start in range(first, count, size)]
    for images, rows in feeder(batches):
        yield rows, embedder(images, cameras[rows])


class _Embedder:
    """Embeds batches, in as many pieces as the memory asks for."""

    def __init__(
        self,
        method: Method,
        device: torch.device,
        subsets: tuple[Modality, ...],
        config: RunConfig,
        reporter: Reporter,
    ) -> None:
        self.method, self.device, self.subsets = method, device, subsets
        self.config, self.reporter = config, reporter
        self.size = config.evaluation.batch_size

    def __call__(self, images: Mapping[Modality, Tensor], cameras: Tensor) -> dict[Modality, NDArray[np.float32]]:
        """Return the embeddings of a batch, (B, E) for each subset."""
        count, pieces, start = len(cameras), [], 0
        while start < count:
            piece = self._piece(images, cameras, slice(start, start + self.size))
            if piece is None:
                self._halve(min(self.size, count))
            else:
                pieces.append(piece)
                start += self.size
        return {s: np.concatenate([piece[s] for piece in pieces]) for s in self.subsets}

    def _piece(
        self, images: Mapping[Modality, Tensor], cameras: Tensor, rows: slice
    ) -> dict[Modality, NDArray[np.float32]] | None:
        """Return the embeddings of some rows, or None when the memory is too small for them."""
        try:
            on_device = {m: x[rows].to(self.device, non_blocking=True) for m, x in images.items()}
            vectors = self.method.embed_all(on_device, cameras[rows].to(self.device), self.subsets)
            return {subset: matrix.float().cpu().numpy() for subset, matrix in vectors.items()}
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            return None

    def _halve(self, tried: int) -> None:
        if tried == 1:
            raise MdreidError(
                f"A single triplet of {self.config.dataset} is too large for the memory of {self.device.type} with "
                f"{self.config.method}; use --device cpu, or smaller images with --set image.scale=0.5."
            )
        self.size = tried // 2
        release(self.device)
        self.reporter.message(
            f"Too little memory for {tried} triplets at once with {self.config.method}; going on with {self.size}."
        )
