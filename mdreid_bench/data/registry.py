"""Datasets by name, found through the entry-point group ``mdreid_bench.datasets``."""

from collections.abc import Callable

from mdreid_bench.data.card import DatasetCard
from mdreid_bench.data.dataset import Dataset
from mdreid_bench.errors import UsageError
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
        UsageError: when the registered class does not import, is not a dataset, or has no card of this name.
    """
    kind = _REGISTERED.get(name, Dataset)  # type: ignore[type-abstract]
    if lacking := sorted(kind.__abstractmethods__):
        raise UsageError(f"{_REGISTERED.called(name)} does not define {', '.join(lacking)}, as datasets must.")
    _REGISTERED.own_card(name, getattr(kind, "card", None), DatasetCard)
    return kind()


def cards(warn: Callable[[str], None] | None = None) -> dict[str, DatasetCard]:
    """Return the card of every registered dataset by name.

    Args:
        warn: told of each dataset that cannot be used, which is left out; without it, that is an error.
    """
    return {name: dataset.card for name, dataset in _REGISTERED.usable(get, warn).items()}


def usable(warn: Callable[[str], None], message: Callable[[str], None] | None = None) -> list[str]:
    """Return the names of all datasets that can be used.

    Args:
        warn: told of each that cannot.
        message: told of each without generator, which is then left out as well; None to have those too.
    """
    found = []
    for name, dataset in _REGISTERED.usable(get, warn).items():
        if message is None or dataset.drawable:
            found.append(name)
        else:
            message(f"There is no generator for {dataset.card.title}, and no folder is given; it is passed over.")
    return found
