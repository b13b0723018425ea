"""Distractors for the galleries of a run: found, embedded once with its weights, and added in nested subsets."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mdreid_bench.embedding.stored import EmbeddingFolder, StoredItems
from mdreid_bench.errors import DataError, UsageError
from mdreid_bench.evaluation.cells import CellScorer, joined
from mdreid_bench.progress import Reporter
from mdreid_bench.results.distractors import Distractors, GallerySize, Kind
from mdreid_bench.results.storage.files import open_regular
from mdreid_bench.results.storage.hashes import content_hash
from mdreid_bench.search.recall import Recall, recall
from mdreid_bench.search.vectors import faiss_index
from protocols.arrays import FloatArray
from protocols.bootstrap import interval
from protocols.chance import chance
from protocols.distractors import BLOCK, nested, rank_among
from protocols.evaluation import PerQuery, evaluate, mean_of_trials
from protocols.modality import Modality
from protocols.names import UnknownNameError
from protocols.ranking import NonFiniteScoreError
from protocols.scoring import release_pages
from protocols.suites import Setting
from protocols.trial import Trial

_TYPES: Mapping[str, type[np.floating[Any]]] = {"F32": np.float32, "F16": np.float16}
_LONGEST_HEADER = 1 << 20
_TRAINED_ON = 50_000
"""Most distractors that a FAISS index is trained on."""


@dataclass(frozen=True, eq=False)
class Vectors:
    """The vectors of n distractors for one subset of sensors.

    Attributes:
        matrix: (m, E), memory-mapped.
        rows: (n,) those that are meant, ascending.
        digest: hash of the file.
    """

    matrix: FloatArray
    rows: NDArray[np.int64]
    digest: str

    def __len__(self) -> int:
        return len(self.rows)

    def blocks(self) -> Iterator[FloatArray]:
        """Yield all of them in their order; pages of the file are given back once they have been used."""
        whole = len(self.rows) == len(self.matrix)
        for start in range(0, len(self.rows), BLOCK):
            part = slice(start, start + BLOCK)
            yield self.matrix[part] if whole else self.matrix[self.rows[part]]
            release_pages(self.matrix)


class Source(Protocol):
    """Where distractors come from."""

    @property
    def name(self) -> str:
        """What tables call them."""
        ...

    @property
    def kind(self) -> Kind:
        """What they are."""
        ...

    def load(self, subset: Modality) -> Vectors:
        """Return their vectors for a subset of sensors.

        Raises:
            DataError: when none of them has it, or the file is damaged.
        """
        ...


@dataclass(frozen=True)
class VectorFolder:
    """Stored vectors of the user's: ``<subset>.npy`` or ``<subset>.safetensors``, (n, E) in float32 or float16."""

    path: Path
    kind: Kind = "vectors"

    @property
    def name(self) -> str:
        """The name of the folder."""
        return self.path.absolute().name

    @classmethod
    def files(cls, folder: Path) -> dict[Modality, Path]:
        """Return the files of vectors in a folder, by subset."""
        found = {}
        for path in sorted(folder.iterdir()):
            if path.suffix in (".npy", ".safetensors"):
                try:
                    found[Modality.parse(path.stem)] = path
                except UnknownNameError:
                    continue
        return found

    def load(self, subset: Modality) -> Vectors:
        """Map the file of a subset."""
        files = self.files(self.path)
        if subset not in files:
            there = ", ".join(map(str, files))
            raise DataError(
                f"The distractors {self.path} have no vectors for {subset}, only for {there}; add {subset}.npy, or "
                "choose protocols with such galleries."
            )
        path = files[subset]
        try:
            matrix = np.load(path, mmap_mode="r", allow_pickle=False) if path.suffix == ".npy" else _tensor(path)
            if matrix.ndim != 2 or matrix.dtype not in _TYPES.values() or not len(matrix):
                raise ValueError("not a matrix of numbers")
            return Vectors(matrix, np.arange(len(matrix)), content_hash(path))
        except (OSError, ValueError, KeyError, TypeError, EOFError):
            raise DataError(
                f"{path} holds no matrix (n, E) of float32 or float16 with n of at least 1; write it with numpy.save."
            ) from None


def _tensor(path: Path) -> FloatArray:
    """Map the only tensor of a safetensors file: 8 bytes of length, a header in JSON, the numbers."""
    with open_regular(path) as file:
        length = int.from_bytes(file.read(8), "little")
        if length > _LONGEST_HEADER:
            raise ValueError("no safetensors file")
        ((_, facts),) = [one for one in json.loads(file.read(length)).items() if one[0] != "__metadata__"]
    start, _ = facts["data_offsets"]
    return np.memmap(path, _TYPES[facts["dtype"]], "r", 8 + length + start, tuple(facts["shape"]))


@dataclass(frozen=True, eq=False)
class Embedded:
    """Distractors embedded with the weights of a run, all subsets of their sensors at once."""

    name: str
    kind: Kind
    folder: EmbeddingFolder
    stored: StoredItems

    def load(self, subset: Modality) -> Vectors:
        """Map the matrix of a subset; items that lack one of its sensors are left out."""
        there = (self.stored.items.sensors & subset.value) == subset.value
        if subset not in self.stored.sensors or not there.any():
            lacking = " and ".join(f"no {sensor}" for sensor in subset if sensor not in self.stored.sensors)
            raise DataError(
                f"The distractors {self.name} have {lacking or f'no item with {subset}'}, which the gallery asks "
                "for; choose others, or protocols with another gallery."
            )
        rows = np.flatnonzero(there).astype(np.int64, copy=False)
        return Vectors(self.folder.load(subset, self.stored), rows, self.stored.hashes[str(subset)])


def measure(
    scorer: CellScorer,
    stored: StoredItems,
    setting: Setting,
    source: Source,
    seed: int,
    reporter: Reporter,
    before: Sequence[Distractors] = (),
) -> Distractors:
    """Measure a setting with growing galleries; every distractor is known by the sensors of the gallery.

    What was measured before with the very same vectors and seed is returned as it is.

    Raises:
        UsageError: for a setting whose gallery items are known by different sensors.
        DataError: when the source lacks a sensor, or its vectors do not fit or are not finite.
    """
    trials, measured, sizes, digest = list[Trial](), list[list[PerQuery]](), tuple[int, ...](), ""
    for one in scorer.compared(stored, setting):
        subset, vectors = gallery_vectors(scorer, stored, setting, one.trial, source)
        known = [found for found in before if (found.digest, found.seed) == (vectors.digest, seed)]
        if known:
            return known[0]
        sizes, levels = nested(len(vectors), seed=seed)
        asked, offered = (stored.items.labels.take(rows) for rows in (one.trial.query, one.trial.gallery))
        with reporter.track(f"distractors {source.name} for {setting}", len(vectors)) as step:

            def streamed(vectors: Vectors = vectors, step: Any = step) -> Iterator[FloatArray]:
                for block in vectors.blocks():
                    yield scorer.laid_out(setting, block)
                    step(len(block))

            try:
                rankings = rank_among(
                    one.query,
                    one.gallery,
                    asked,
                    offered,
                    stored.exclusion_under(setting),
                    streamed(),
                    levels,
                    memory_budget=scorer.memory_budget,
                )
            except NonFiniteScoreError:
                raise DataError(
                    f"{setting} cannot be scored with the distractors {source.name}: a score for {subset} is not "
                    "finite; embed them again."
                ) from None
        trials.append(one.trial)
        measured.append([evaluate(ranking, scorer.form.average_precision) for ranking in rankings])
        digest = vectors.digest
    by_size = zip((0, *sizes), zip(*measured, strict=True), strict=True)
    found = tuple(_figures(scorer, stored, trials, number, values) for number, values in by_size)
    return Distractors(source=source.name, kind=source.kind, digest=digest, seed=seed, sizes=found)


def search(
    scorer: CellScorer,
    stored: StoredItems,
    setting: Setting,
    source: Source,
    factory: str,
    probes: int | None,
    reporter: Reporter,
) -> Recall:
    """Search the gallery of a setting, the first one of several, with all distractors, by a FAISS index and exactly.

    Queries see the whole gallery here: an index knows nothing of exclusion rules.

    Raises:
        UsageError: when FAISS is not installed or cannot make the index, or the gallery has no subset of its own.
        DataError: as in :func:`measure`.
    """
    one = next(scorer.compared(stored, setting))
    _, vectors = gallery_vectors(scorer, stored, setting, one.trial, source)

    def blocks() -> Iterator[FloatArray]:
        yield one.gallery
        yield from (scorer.laid_out(setting, block) for block in vectors.blocks())

    taken = np.sort(np.random.default_rng(0).permutation(len(vectors))[:_TRAINED_ON])
    sample = scorer.laid_out(setting, vectors.matrix[vectors.rows[taken]])
    sample = np.concatenate([one.gallery, sample.astype(np.float32, copy=False)])
    index = faiss_index(blocks(), sample, len(one.gallery) + len(vectors), factory, probes, reporter)
    return recall(index, factory, one.query, stored.items.labels.identity[one.trial.query], blocks)


def gallery_vectors(
    scorer: CellScorer, stored: StoredItems, setting: Setting, trial: Trial, source: Source
) -> tuple[Modality, Vectors]:
    """Return the subset of sensors by which a gallery is known, and the distractors' vectors for it.

    Raises:
        UsageError: when there are several.
        DataError: when the source has no such vectors, or they are of another length.
    """
    present = np.unique(trial.gallery_sensors)
    if len(present) != 1:
        raise UsageError(
            f"The gallery items of {setting} are known by different sensors, and distractors are not; --distractors "
            "goes with protocols such as R-to-NT."
        )
    subset = Modality(int(present[0]))
    vectors, width = source.load(subset), EmbeddingFolder(scorer.scope.embeddings).load(subset, stored).shape[1]
    if vectors.matrix.shape[1] != width:
        raise DataError(
            f"The distractors {source.name} have vectors of {vectors.matrix.shape[1]} numbers for {subset}, and "
            f"those of the run have {width}; embed them with the weights of the run."
        )
    return subset, vectors


def _figures(
    scorer: CellScorer, stored: StoredItems, trials: list[Trial], number: int, measured: tuple[PerQuery, ...]
) -> GallerySize:
    """Average the trials of one size of the gallery."""
    means, values = mean_of_trials(measured), joined(stored, trials, measured)
    floor = mean_of_trials([chance(one.positives, one.items, scorer.form.average_precision) for one in measured])
    identities, metrics = values.identities[values.first], values.metrics
    return GallerySize(
        distractors=number,
        gallery=len(trials[0].gallery) + number,
        mAP=means.mAP,
        rank1=means.rank1,
        interval=interval(values.by_query(metrics.ap), identities),
        rank1_interval=interval(values.by_query(metrics.rank1), identities),
        chance=floor.mAP,
        rank1_chance=floor.rank1,
    )
