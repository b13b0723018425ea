"""Datasets by name, found through the entry-point group ``mdreid_bench.datasets``."""

from functools import cache
from importlib.metadata import EntryPoint, entry_points

from mdreid_bench.data.card import DatasetCard
from mdreid_bench.data.dataset import Dataset
from mdreid_bench.errors import UsageError
from protocols.names import UnknownNameError

GROUP = "mdreid_bench.datasets"


@cache
def _found() -> dict[str, EntryPoint]:
    found: dict[str, EntryPoint] = {}
    for entry in entry_points(group=GROUP):
        if entry.name in found and found[entry.name].value != entry.value:
            raise UsageError(
                f"Two datasets are registered as {entry.name!r}: {found[entry.name].value} and {entry.value}; "
                "uninstall one of them."
            )
        found[entry.name] = entry
    return found


def names() -> tuple[str, ...]:
    """Return the names of all registered datasets, sorted."""
    return tuple(sorted(_found()))


def get(name: str) -> Dataset:
    """Return the dataset registered under ``name``.

    Raises:
        UnknownNameError: when nothing is registered under it.
        UsageError: when the registered class does not import or is not a dataset.
    """
    if name not in _found():
        raise UnknownNameError("dataset", name, names())
    try:
        loaded = _found()[name].load()
    except (ImportError, AttributeError) as error:
        raise UsageError(f"The dataset {name!r} cannot be imported: {error}.") from None
    if not (isinstance(loaded, type) and issubclass(loaded, Dataset)):
        raise UsageError(f"The entry point of dataset {name!r} does not name a subclass of Dataset.")
    return loaded()


def cards() -> dict[str, DatasetCard]:
    """Return the card of every registered dataset by name."""
    return {name: get(name).card for name in names()}
