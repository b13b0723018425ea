"""Distractors that are images: items of a dataset or of a folder, embedded once with the weights of a run."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import reduce
from operator import or_
from pathlib import Path

import numpy as np

from mdreid_bench.data import registry as datasets
from mdreid_bench.data.index import DatasetIndex
from mdreid_bench.data.items import Items
from mdreid_bench.data.location import given_root, resolve_data_root
from mdreid_bench.data.opening import open_dataset
from mdreid_bench.data.transfer import Contents, shared_images
from mdreid_bench.embedding.extract import extract
from mdreid_bench.embedding.stored import EmbeddingFolder, StoredItems
from mdreid_bench.errors import DataError, UsageError
from mdreid_bench.processes.device import pick_device
from mdreid_bench.progress import Reporter
from mdreid_bench.results.distractors import Kind
from mdreid_bench.results.run_facts import RunFacts
from mdreid_bench.results.storage.hashes import canonical_hash, content_hash
from mdreid_bench.results.storage.lock import locked
from mdreid_bench.results.store import RunFolder, Scope
from mdreid_bench.search.distractors import Embedded, Source, VectorFolder
from mdreid_bench.search.gallery import read_gallery
from mdreid_bench.weights.trained_method import load_trained, weights_of
from protocols.exclusion import Labels
from protocols.modality import Modality

_DIGITS = 10


@dataclass(frozen=True)
class Distracted:
    """The run whose galleries are to grow.

    Attributes:
        clean: the table of its test embeddings.
    """

    folder: RunFolder
    scope: Scope
    facts: RunFacts
    clean: StoredItems


def find_source(text: str, run: Distracted, data_root: Path | None, device: str, reporter: Reporter) -> Source:
    """Return the distractors that a user means by the name of a dataset or by a folder; images are embedded once.

    Raises:
        UsageError: when there is no such dataset or folder, or the images are those of the dataset itself.
        DataError: when images, vectors or weights cannot be used.
    """
    if text in datasets.names():
        return _of_dataset(text, run, data_root, device, reporter)
    path = Path(text).expanduser()
    if not path.is_dir():
        raise UsageError(
            f"--distractors {text} is neither a folder nor one of the datasets {', '.join(datasets.names())}."
        )
    if VectorFolder.files(path):
        return VectorFolder(path)
    items = read_gallery(path, reporter, run.facts.modalities)
    contents = {
        name: {str(sensor): content_hash(Path(file)) for sensor, file in images.items()}
        for name, images in zip(items.names.tolist(), items.images, strict=True)
    }
    card, nothing = replace(datasets.get(run.facts.shared.dataset).card, title=str(path)), items.take([])
    index = DatasetIndex(card, Path(), False, nothing, items, "", canonical_hash(contents))
    return _embedded(path.absolute().name, "images", index, run, device, reporter)


def _of_dataset(text: str, run: Distracted, data_root: Path | None, device: str, reporter: Reporter) -> Embedded:
    """Take the test items of another dataset, or the training items of the run's own."""
    shared = run.facts.shared
    own = text == shared.dataset
    index = _opened(text, data_root, reporter, shared.split if own else None)
    if own:
        index = replace(index, test=index.train, test_fingerprint=index.train_fingerprint)
        return _embedded(text, "training items", index, run, device, reporter)
    if shared.data_kind == "synthetic" or given_root(data_root) is not None:
        _refuse_shared(_opened(shared.dataset, data_root, reporter, shared.split), index)
    return _embedded(text, "dataset", index, run, device, reporter)


def _opened(name: str, data_root: Path | None, reporter: Reporter, split: str | None) -> DatasetIndex:
    location = resolve_data_root(data_root, name, reporter)
    reporter.message(f"Data: {location.reason}")
    return open_dataset(name, location.root, reporter, split)


def _refuse_shared(tested: DatasetIndex, index: DatasetIndex) -> None:
    """Refuse distractors that may show those who are asked for."""
    if found := shared_images(Contents.of(tested), Contents.of(index)):
        raise UsageError(
            f"{found.target} has {found.images} images in common with {found.source}, such as {found.example[0]}; "
            "distractors show nobody who is asked for, so name others with --distractors."
        )


def _embedded(
    name: str, kind: Kind, index: DatasetIndex, run: Distracted, device: str, reporter: Reporter
) -> Embedded:
    """Embed the test items of an index with the weights of a run, unless that was done before."""
    index = _known(index, run.facts)
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", name)[:80]
    folder = EmbeddingFolder(run.scope.path / f"distractors-{stem}-{index.test_fingerprint[:_DIGITS]}")
    with locked(folder.lock, f"the distractors {name} of {run.folder.path.name}", reporter):
        if folder.items_file.exists():
            stored = folder.read_items()
            if (stored.test_fingerprint, stored.weights) == (index.test_fingerprint, run.clean.weights):
                return Embedded(name, kind, folder, stored)
        method, config = load_trained(run.folder)
        weights = weights_of(run.folder, run.facts) if run.facts.training else None
        evaluation = config.evaluation.model_copy(update={"precision": run.clean.precision})
        config = config.model_copy(update={"evaluation": evaluation, "dataset": name})
        trained = content_hash(weights) if weights else ""
        extract(method, index, config, folder, pick_device(device), reporter, trained=trained)
        stored = folder.read_items()
    if stored.weights != run.clean.weights:
        raise DataError(
            f"The stored embeddings {run.scope.embeddings} were not made with the weights that the run has now; "
            "move them away and run again."
        )
    return Embedded(name, kind, folder, stored)


def _known(index: DatasetIndex, facts: RunFacts) -> DatasetIndex:
    """Keep the sensors that the method knows, and deal unknown cameras out among the known ones."""
    images, sensors = tuple(map(dict, index.test.images)), facts.modalities
    kept = [{sensor: file for sensor, file in own.items() if sensor in sensors} for own in images]
    there = np.array([bool(own) for own in kept], dtype=np.bool_)
    if not there.any():
        raise DataError(
            f"The distractors {index.card.title} have no items with {sensors}, which the run has; choose others."
        )
    if any(_cut(own, other) for own, other in zip(images, kept, strict=True)):
        raise DataError(
            f"The distractors {index.card.title} hold all sensors in one file, and the run knows {sensors} alone; "
            "choose others."
        )
    items, labels = index.test, index.test.labels
    of_run = Labels(labels.identity, labels.camera % facts.cameras, labels.scene)
    seen = np.array([reduce(or_, (s.value for s in own), 0) for own in kept], dtype=np.uint8)
    items = Items(items.names, of_run, seen, items.roles, tuple(kept)).take(there)
    common = Modality(int(np.bitwise_or.reduce(items.sensors)))
    return replace(
        index, card=replace(index.card, sensors=common, default_protocols=()), test=items, limit=None, unlimited=None
    )


def _cut(own: Mapping[Modality, str], kept: Mapping[Modality, str]) -> bool:
    """Tell whether a file that holds several sensors would lose one of them."""
    return len(kept) < len(own) and len(set(own.values())) < len(own)
