"""What methods and datasets are called in tables: the titles of their cards, or the names of those not installed."""

from mdreid_bench.data import registry as datasets
from mdreid_bench.data.card import DatasetCard
from mdreid_bench.errors import UsageError
from mdreid_bench.models import registry as methods
from protocols.names import UnknownNameError


def method_title(name: str) -> str:
    """Return the title of a method."""
    try:
        return methods.card(name).title
    except (UnknownNameError, UsageError):
        return name


def dataset_title(name: str) -> str:
    """Return the title of a dataset."""
    card = dataset_card(name)
    return name if card is None else card.title


def dataset_card(name: str) -> DatasetCard | None:
    """Return what is published about a dataset; None where it is not installed."""
    try:
        return datasets.get(name).card
    except (UnknownNameError, UsageError):
        return None
