"""Datasets by name, found through the entry-point group ``mdreid_bench.datasets``."""

from mdreid_bench.data.card import DatasetCard
from mdreid_bench.data.dataset import Dataset
from mdreid_bench.plugins import Plugins

GROUP = "mdreid_bench.datasets"
_REGISTERED = Plugins(GROUP, "dataset")


def names() -> tuple[str, ...]:
    """Return the names of all registered datasets, sorted."""
    return _REGISTERED.names()


def get(name: str) -> Dataset:
    """Return the dataset registered under ``name``.

    Raises:
        UnknownNameError: when nothing is registered under it.
        UsageError: when the registered class does not import or is not a dataset.
    """
    return _REGISTERED.get(name, Dataset)()  # type: ignore[type-abstract]


def cards() -> dict[str, DatasetCard]:
    """Return the card of every registered dataset by name."""
    return {name: get(name).card for name in names()}
