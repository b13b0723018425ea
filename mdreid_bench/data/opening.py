"""Opens a dataset: finds it, reads all file names and images, and refuses it when anything is wrong."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from mdreid_bench.data import registry
from mdreid_bench.data.dataset import Dataset, Fault
from mdreid_bench.data.files import dataset_folder, image_paths
from mdreid_bench.data.fingerprint import fingerprint, inspect_files
from mdreid_bench.data.images import ImageFacts, described, rules_of
from mdreid_bench.data.index import DatasetIndex
from mdreid_bench.data.items import Item, Items, Role
from mdreid_bench.data.marker import read_marker
from mdreid_bench.errors import DataError
from mdreid_bench.progress import Reporter
from mdreid_bench.wording import counted, listed, printable
from protocols.names import UnknownNameError


def open_dataset(name: str, root: Path, reporter: Reporter, split: str | None = None) -> DatasetIndex:
    """Find, read and check a dataset.

    Args:
        name: a registered name.
        root: the data root, or the folder of the dataset itself.
        reporter: shows the progress and differences from the published counts.
        split: how it is divided, where it can be divided in several ways; by default the first.

    Raises:
        UnknownNameError: when no dataset has this name, or the dataset no such split.
        DataError: when the layout is not there or any file is missing, unreadable, wrongly named or of a wrong size;
            all faults are counted and the first ten named.
    """
    dataset = registry.get(name)
    split = split_of(dataset, split)
    folder = dataset_folder(dataset, root)
    found = image_paths(dataset, folder)
    scan = dataset.scan(found, dataset.assignment(folder, split))
    paths = sorted({path for item in scan.items for path in item.images.values()})
    facts, unreadable = inspect_files(folder, paths, reporter)
    faults = sorted({*scan.faults, *unreadable, *strip_faults(dataset, facts)}, key=lambda fault: fault.path)
    if faults:
        raise DataError(_complaint(dataset.card.title, folder, faults))
    for sentence in described(rules_of(facts.values())):
        reporter.message(f"{dataset.card.title} has {sentence}.")
    _refuse_empty(dataset, folder, scan.items)
    marker = read_marker(folder)
    if marker and (damage := marker.damage(folder, found)):
        raise DataError(
            f"The synthetic {dataset.card.title} in {folder} is not as it was drawn ({damage}); remove it."
        )
    train = [item for item in scan.items if Role.TRAIN in item.roles]
    test = merge_copies((item for item in scan.items if Role.TRAIN not in item.roles), facts)
    index = DatasetIndex(
        card=dataset.card,
        root=folder,
        synthetic=marker is not None,
        train=Items.of(train),
        test=Items.of(test),
        train_fingerprint=fingerprint(train, facts, dataset.card.sensors),
        test_fingerprint=fingerprint(test, facts, dataset.card.sensors),
        facts=facts,
        split=split,
    )
    if not index.synthetic:
        _compare_counts(index, reporter)
    return index


def split_of(dataset: Dataset, asked: str | None) -> str | None:
    """Return the split that is meant: the one asked for, else the first; None where there is only one way.

    Raises:
        UnknownNameError: when the dataset has no such split.
    """
    if asked is not None and asked not in dataset.splits:
        raise UnknownNameError(f"split of {dataset.card.title}", asked, dataset.splits)
    return asked or next(iter(dataset.splits), None)


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


def merge_copies(items: Iterable[Item], facts: Mapping[str, ImageFacts]) -> list[Item]:
    """Make one item of a query and a gallery item with the same name, labels and content.

    Items with the same name that differ stay apart: the query's name gets the prefix ``query/``.
    """
    gallery: dict[str, Item] = {}
    queries: list[Item] = []
    for item in items:
        if Role.GALLERY in item.roles:
            gallery[item.name] = item
        else:
            queries.append(item)
    for query in queries:
        twin = gallery.get(query.name)
        if twin is not None and _looks(query, facts) == _looks(twin, facts):
            gallery[query.name] = replace(twin, roles=twin.roles | query.roles)
        else:
            name = query.name if twin is None else f"query/{query.name}"
            gallery[name] = replace(query, name=name)
    return list(gallery.values())


def _looks(item: Item, facts: Mapping[str, ImageFacts]) -> tuple[object, ...]:
    labels = item.identity, item.camera, item.scene
    return (*labels, {sensor: facts[path].digest for sensor, path in item.images.items()})


def _complaint(title: str, folder: Path, faults: Sequence[Fault]) -> str:
    named = listed([f"{printable(fault.path)}: {fault.what}" for fault in faults], separator="; ")
    return f"{title} in {folder} has {counted(len(faults), 'fault')}, repair the files and run again: {named}."


def _refuse_empty(dataset: Dataset, folder: Path, items: Sequence[Item]) -> None:
    for role, place in role_folders(dataset).items():
        if not any(role in item.roles for item in items):
            expected = dataset.card.layout
            raise DataError(f"No images of {dataset.card.title} in {folder / place}: expected {expected}.")


def role_folders(dataset: Dataset) -> dict[Role, str]:
    """Return the roles for which a dataset has images, each with the first folder that holds them."""
    folders = {role: [folder for folder, roles in dataset.roles.items() if role in roles] for role in Role}
    return {role: found[0] for role, found in folders.items() if found}


def _compare_counts(index: DatasetIndex, reporter: Reporter) -> None:
    """Tell when a real dataset does not have the published size."""
    published, query, gallery = (
        index.card.counts,
        index.test.take(index.test.query),
        index.test.take(index.test.gallery),
    )
    pairs = {
        "training images": (len(index.train), published.train_images),
        "training identities": (index.train.identities, published.train_identities),
        "query images": (len(query), published.query_images),
        "query identities": (query.identities, published.query_identities),
        "gallery images": (len(gallery), published.gallery_images),
        "gallery identities": (gallery.identities, published.gallery_identities),
    }
    different = [f"{found} {what} instead of {right}" for what, (found, right) in pairs.items() if found != right]
    if different:
        reporter.message(f"{index.card.title} differs from the published counts: {', '.join(different)}.")
