"""What methods and datasets are called in tables: the titles of their cards, or the names of those not installed."""

from mdreid_bench.data import registry as datasets
from mdreid_bench.data.card import DatasetCard
from mdreid_bench.errors import UsageError
from mdreid_bench.models import registry as methods
from mdreid_bench.models.card import MethodCard
from mdreid_bench.results.schema import Record
from mdreid_bench.wording import arrow
from protocols.names import UnknownNameError


def method_card(name: str) -> MethodCard | None:
    """Return what a method declares of itself; None where it is not installed."""
    try:
        return methods.card(name)
    except (UnknownNameError, UsageError):
        return None


def method_title(name: str) -> str:
    """Return the title of a method."""
    card = method_card(name)
    return name if card is None else card.title


def is_ranked(name: str) -> bool:
    """Tell whether a method competes, as all do but those that show where the floor is."""
    card = method_card(name)
    return card is None or card.ranked


def dataset_title(name: str) -> str:
    """Return the title of a dataset."""
    card = dataset_card(name)
    return name if card is None else card.title


def data_title(record: Record) -> str:
    """Return the title of what a record was tested with, after those of the sources, if it had any."""
    return arrow([dataset_title(name) for name in record.sources], dataset_title(record.dataset))


def dataset_card(name: str) -> DatasetCard | None:
    """Return what is published about a dataset; None where it is not installed."""
    try:
        return datasets.get(name).card
    except (UnknownNameError, UsageError):
        return None
