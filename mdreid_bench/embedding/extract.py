"""Embeddings on disk, a matrix for each subset of sensors: by one pass over the test images, or from stored ones."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mdreid_bench.config.schema import RunConfig
from mdreid_bench.data.feeding import feeder
from mdreid_bench.data.index import DatasetIndex
from mdreid_bench.data.items import Items
from mdreid_bench.data.loading import TestImages
from mdreid_bench.data.transforms import normalised
from mdreid_bench.embedding.parts import Parts, Vectors
from mdreid_bench.embedding.stored import EmbeddingFolder, StoredItems
from mdreid_bench.embedding.vectors import checked
from mdreid_bench.errors import MdreidError, is_out_of_memory
from mdreid_bench.models.method import Method
from mdreid_bench.models.trunk.inference_copy import inference_copy
from mdreid_bench.processes.device import DTYPES, check_compiler, pick_precision
from mdreid_bench.processes.ranks import ALONE, Ranks
from mdreid_bench.progress import Reporter, Silent
from mdreid_bench.results.storage.atomic import replacing
from mdreid_bench.weights import checkpoint
from protocols.corruption import Corruption
from protocols.modality import Modality, subsets

Batch: TypeAlias = tuple[NDArray[np.int64], Vectors]
"""Rows of the items, and their embeddings (b, E) for each subset."""


def extract(
    method: Method,
    index: DatasetIndex,
    config: RunConfig,
    folder: EmbeddingFolder,
    device: torch.device,
    reporter: Reporter,
    ranks: Ranks = ALONE,
    trained_with: int | None = None,
    trained: str = "",
    corruption: Corruption | None = None,
) -> None:
    """Embed every distinct test item for all subsets of the sensors that saw it, and store the result.

    An extraction that was interrupted is continued after its last complete part.

    Args:
        method: trained; stays as it is.
        folder: where the matrices go; complete once its item table exists.
        ranks: the processes that share the items; the leader stores what all of them embed.
        trained_with: number of threads, where it is known, to be stored with the number of this process.
        trained: hash of the file of trained weights, likewise.
        corruption: of the test images; None embeds them as they are.

    Raises:
        DataError: when the file system refuses.
        MdreidError: when not even a single item fits into the memory, or another process fails.
    """
    count = len(index.test)
    precision = ranks.agree(pick_precision(config.evaluation.precision, device, method.token_width))
    config = config.model_copy(update={"evaluation": config.evaluation.model_copy(update={"precision": precision})})
    with ranks.together():
        weights = checkpoint.digest(method.state_dict())
        facts = {"test": index.test_fingerprint, "rows": count, "weights": weights, "precision": precision}
        facts |= {"corruption": corruption.images} if corruption else {}
        parts = Parts(folder, index.sensors, facts)
        first = parts.begin() if ranks.leads else 0
    first = ranks.agree(first)
    what = f"{config.dataset}, {corruption.images}" if corruption else config.dataset
    with reporter.track(f"extracting {config.method} on {what}", count) as step:
        if first:
            step(first, note="resumed")
        wanted = subsets(index.sensors)
        images = TestImages(index, config, corruption=corruption)
        for batches in _rounds(method, images, index.test, config, device, wanted, first, reporter, ranks):
            with ranks.together():
                for rows, vectors in batches:
                    parts.add(rows, vectors)
                    step(len(rows))
    with ranks.together():
        if ranks.leads:
            parts.flush()
            parts.join(count)
            threads = {"train": trained_with} if trained_with else {}
            threads["extract"] = torch.get_num_threads()
            folder.write_items(StoredItems.of(index, precision, weights, trained, threads))
            shutil.rmtree(folder.parts, ignore_errors=True)


def embedded(
    method: Method,
    index: DatasetIndex,
    config: RunConfig,
    device: torch.device,
    subsets: tuple[Modality, ...],
    *,
    items: Items | None = None,
    reporter: Reporter | None = None,
) -> dict[Modality, NDArray[np.float32]]:
    """Return the embeddings of n items by subset, (n, E); rows of items that lack a sensor of the subset are NaN.

    They are the test items unless others are given. A copy of the method, in the precision of the configuration, does
    the work. Batches that do not fit into the memory are halved.

    Raises:
        MdreidError: when not even a single item fits into the memory.
    """
    items = index.test if items is None else items
    images = TestImages(index, config, items)
    rounds = _rounds(method, images, items, config, device, subsets, 0, reporter or Silent(), ALONE)
    parts = [vectors for batches in rounds for _, vectors in batches]
    return {subset: np.concatenate([part[subset] for part in parts]) for subset in subsets}


def _rounds(
    method: Method,
    images: TestImages,
    items: Items,
    config: RunConfig,
    device: torch.device,
    subsets: tuple[Modality, ...],
    first: int,
    reporter: Reporter,
    ranks: Ranks,
) -> Iterator[list[Batch]]:
    """Let every process embed one batch at a time; yield the batches of all on the leader, none on the others."""
    with ranks.together():
        embedder = Embedder(ready(method, config, device), device, config, reporter)
    size, cameras = config.evaluation.batch_size, torch.from_numpy(items.labels.camera)
    batches = items.batches(size, first)
    feed = feeder(images, size, config, device, reporter, ranks.size)
    own_batches = feed(batches[ranks.rank :: ranks.size])
    for _ in range(0, len(batches), ranks.size):
        with ranks.together():
            loaded, own = next(own_batches, None), None
            if loaded is not None:
                rows, there = loaded.rows, Modality(int(items.sensors[loaded.rows[0]]))
                images_of = {m: x for m, x in loaded.images.items() if m in there}
                # Where the items lack a sensor of every subset, another one tells how long the vectors are.
                wanted = tuple(subset for subset in subsets if subset in there) or (there,)
                own = rows, _complete(embedder(images_of, cameras[rows], items.names[rows], wanted), subsets)
        yield [batch for batch in ranks.collect(own) if batch is not None]


def _complete(vectors: dict[Modality, NDArray[np.float32]], subsets: tuple[Modality, ...]) -> Vectors:
    """Add NaN for the subsets that the items of a batch lack a sensor of."""
    none = np.full_like(next(iter(vectors.values())), np.nan)
    return {subset: vectors.get(subset, none) for subset in subsets}


def ready(method: Method, config: RunConfig, device: torch.device) -> Method:
    """Return a copy of a method that embeds on a device in the precision of a configuration.

    Raises:
        UsageError: when the trunk is to be compiled and nothing can compile it.
    """
    section = config.evaluation
    precision = pick_precision(section.precision, device, method.token_width)
    if section.compile:
        check_compiler(device)
    return inference_copy(method, device, DTYPES[precision], compiled=section.compile)


class Embedder:
    """Embeds batches, in as many pieces as the memory asks for."""

    def __init__(
        self,
        method: Method,
        device: torch.device,
        config: RunConfig,
        reporter: Reporter,
    ) -> None:
        self.method, self.device = method, device
        self.config, self.reporter = config, reporter
        self.size = config.evaluation.batch_size
        self.divisible = not method.card.batch_dependent(config.options)
        self.width: int | None = None

    def __call__(
        self,
        images: Mapping[Modality, Tensor],
        cameras: Tensor,
        names: NDArray[np.str_],
        subsets: tuple[Modality, ...],
    ) -> dict[Modality, NDArray[np.float32]]:
        """Return the embeddings of a batch of items, (B, E) for each subset of the sensors that there are images of.

        Images are (B, 3, H, W) uint8 by sensor, cameras (B,), and names those of the items.

        Raises:
            UsageError: when the method returns something else.
            DataError: when an embedding is not finite.
            MdreidError: when not even a single item fits into the memory.
        """
        count, pieces, start = len(cameras), [], 0
        while start < count:
            rows = slice(start, start + self.size)
            part = {m: x[rows] for m, x in images.items()}
            piece = self._piece(part, cameras[rows], names[rows], subsets)
            if piece is None:
                self._halve(min(self.size, count))
            else:
                pieces.append(piece)
                start += self.size
        return {s: np.concatenate([piece[s] for piece in pieces]) for s in subsets}

    def _piece(
        self,
        images: Mapping[Modality, Tensor],
        cameras: Tensor,
        names: NDArray[np.str_],
        subsets: tuple[Modality, ...],
    ) -> dict[Modality, NDArray[np.float32]] | None:
        """Return the embeddings of a part of a batch, or None when the memory is too small for it."""
        try:
            pixels = {m: x.to(self.device, non_blocking=True) for m, x in images.items()}
            on_device = {m: normalised(x, self.config.image) for m, x in pixels.items()}
            vectors = self.method.embed_all(on_device, cameras.to(self.device), subsets)
            found = checked(type(self.method), vectors, subsets, names, self.width)
            self.width = found[subsets[0]].shape[1]
            return found
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            return None

    def _halve(self, tried: int) -> None:
        if not self.divisible:
            raise MdreidError(
                f"Too little memory for {tried} items at once, and with these options the features of "
                f"{self.config.method} depend on the batch, which is therefore not taken apart; set a smaller "
                "evaluation.batch_size."
            )
        if tried == 1:
            raise MdreidError(
                f"A single item of {self.config.dataset} is too large for the memory of {self.device.type} with "
                f"{self.config.method}; use --device cpu, or smaller images with --set image.scale=0.5."
            )
        self.size = tried // 2
        if self.device.type == "cuda":
            torch.cuda.empty_cache()  # so that smaller blocks fit
        self.reporter.message(
            f"Too little memory for {tried} items at once with {self.config.method}; going on with {self.size}."
        )


def derive(
    method: type[Method], source: EmbeddingFolder, target: EmbeddingFolder, convert: Callable[[Tensor], Tensor]
) -> None:
    """Write embeddings that follow from others: a method's ``convert`` makes vectors (n, E') of stored ones, (n, E).

    Raises:
        UsageError: when the method makes something else of them.
        DataError: when stored embeddings are damaged, or what becomes of them is not finite.
    """
    items = source.read_items()
    with ExitStack() as stack:
        width = None
        for subset in subsets(items.sensors):
            path = stack.enter_context(replacing(target.matrix(subset)))
            stored = source.load(subset, items)
            there = np.isfinite(stored).all(axis=1)  # the others lack a sensor of the subset
            made = {subset: convert(torch.from_numpy(stored[there]))}
            vectors = checked(method, made, (subset,), items.items.names[there], width)[subset]
            width = vectors.shape[1]
            matrix = np.full((len(stored), width), np.nan, dtype=np.float32)
            matrix[there] = vectors
            with path.open("wb") as file:
                np.save(file, matrix, allow_pickle=False)
    target.write_items(items)
