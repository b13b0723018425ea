"""Opens a dataset: finds it, reads all file names and images, and refuses it when anything is wrong."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from mdreid_bench.data import registry
from mdreid_bench.data.dataset import Dataset, Fault, Triplet
from mdreid_bench.data.files import dataset_folder, image_paths
from mdreid_bench.data.fingerprint import fingerprint, inspect_files
from mdreid_bench.data.images import ImageFacts
from mdreid_bench.data.index import DatasetIndex, table
from mdreid_bench.data.items import Role
from mdreid_bench.data.marker import read_marker
from mdreid_bench.errors import DataError
from mdreid_bench.progress import Reporter
from mdreid_bench.wording import counted, listed, printable


def open_dataset(name: str, root: Path, reporter: Reporter) -> DatasetIndex:
    """Find, read and check a dataset.

    Args:
        name: a registered name.
        root: the data root, or the folder of the dataset itself.
        reporter: shows the progress and differences from the published counts.

    Raises:
        UnknownNameError: when no dataset has this name.
        DataError: when the layout is not there or any file is missing, unreadable, wrongly named or of a wrong size;
            all faults are counted and the first ten named.
    """
    dataset = registry.get(name)
    folder = dataset_folder(dataset, root)
    scan = dataset.scan(image_paths(dataset, folder))
    paths = sorted({path for triplet in scan.triplets for path in triplet.paths})
    facts, unreadable = inspect_files(folder, paths, reporter)
    faults = sorted({*scan.faults, *unreadable, *strip_faults(dataset, facts)}, key=lambda fault: fault.path)
    if faults:
        raise DataError(_complaint(dataset.card.title, folder, faults))
    _refuse_empty(dataset, folder, scan.triplets)
    train = [triplet for triplet in scan.triplets if Role.TRAIN in triplet.roles]
    test = merge_copies((triplet for triplet in scan.triplets if Role.TRAIN not in triplet.roles), facts)
    test.sort(key=lambda triplet: triplet.name)
    index = DatasetIndex(
        card=dataset.card,
        root=folder,
        synthetic=read_marker(folder) is not None,
        train=table(train),
        test=table(test),
        query=np.array([i for i, t in enumerate(test) if Role.QUERY in t.roles], dtype=np.int64),
        gallery=np.array([i for i, t in enumerate(test) if Role.GALLERY in t.roles], dtype=np.int64),
        train_fingerprint=fingerprint(train, facts),
        test_fingerprint=fingerprint(test, facts),
    )
    if not index.synthetic:
        _compare_counts(index, reporter)
    return index


def strip_faults(dataset: Dataset, facts: Mapping[str, ImageFacts]) -> list[Fault]:
    """Return a fault for each image whose size is not that of the dataset's strips, if it has strips."""
    if dataset.strip_size is None:
        return []
    width, height = dataset.strip_size
    return [
        Fault(path, f"strip of {fact.width}x{fact.height} pixels instead of {width}x{height}")
        for path, fact in facts.items()
        if (fact.width, fact.height) != dataset.strip_size
    ]


def merge_copies(triplets: Iterable[Triplet], facts: Mapping[str, ImageFacts]) -> list[Triplet]:
    """Make one triplet of a query and a gallery item with the same name, labels and content.

    Items with the same name that differ stay apart: the query's name gets the prefix ``query/``.
    """
    gallery: dict[str, Triplet] = {}
    queries: list[Triplet] = []
    for triplet in triplets:
        if Role.GALLERY in triplet.roles:
            gallery[triplet.name] = triplet
        else:
            queries.append(triplet)
    for query in queries:
        twin = gallery.get(query.name)
        if twin is not None and _looks(query, facts) == _looks(twin, facts):
            gallery[query.name] = replace(twin, roles=twin.roles | query.roles)
        else:
            name = query.name if twin is None else f"query/{query.name}"
            gallery[name] = replace(query, name=name)
    return list(gallery.values())


def _looks(triplet: Triplet, facts: Mapping[str, ImageFacts]) -> tuple[object, ...]:
    labels = triplet.identity, triplet.camera, triplet.scene
    return (*labels, *(facts[path].digest for path in triplet.paths))


def _complaint(title: str, folder: Path, faults: Sequence[Fault]) -> str:
    named = listed([f"{printable(fault.path)}: {fault.what}" for fault in faults], separator="; ")
    return f"{title} in {folder} has {counted(len(faults), 'fault')}, repair the files and run again: {named}."


def _refuse_empty(dataset: Dataset, folder: Path, triplets: Sequence[Triplet]) -> None:
    for split, roles in dataset.splits.items():
        if not any(roles in triplet.roles for triplet in triplets):
            expected = dataset.card.layout
            raise DataError(f"No images of {dataset.card.title} in {folder / split}: expected {expected}.")


def _compare_counts(index: DatasetIndex, reporter: Reporter) -> None:
    """Tell when a real dataset does not have the published size."""
    published, test = index.card.counts, index.test["identity"].to_numpy()
    pairs = {
        "training images": (len(index.train), published.train_images),
        "training identities": (index.train["identity"].nunique(), published.train_identities),
        "query images": (len(index.query), published.query_images),
        "query identities": (len(np.unique(test[index.query])), published.query_identities),
        "gallery images": (len(index.gallery), published.gallery_images),
        "gallery identities": (len(np.unique(test[index.gallery])), published.gallery_identities),
    }
    different = [f"{found} {what} instead of {right}" for what, (found, right) in pairs.items() if found != right]
    if different:
        reporter.message(f"{index.card.title} differs from the published counts: {', '.join(different)}.")
