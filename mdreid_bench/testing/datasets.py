"""The contract of a dataset, each promise as a function of its registered name and of names of images.

A dataset with a synthetic copy is asked about the names in that copy; of another, some names must be given that are
right and have all roles.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from mdreid_bench.data import registry
from mdreid_bench.data.dataset import Dataset, Scan
from mdreid_bench.data.items import Items, Role
from protocols.protocol import Protocol
from protocols.suites import resolve


def card_names_the_entry_point(name: str, paths: Sequence[str] = ()) -> None:
    """The card has the name that is registered, a title and a layout in a folder of the dataset."""
    card = registry.get(name).card
    assert card.name == name, f"the card of {name} says {card.name}"
    assert all((card.title, card.paper, card.licence)), f"the card of {name} lacks a title, a paper or a licence"
    assert card.layout.startswith((card.title, *card.folders)), f"the layout {card.layout} begins with no folder"
    assert not card.bibtex or card.bibtex.startswith("@"), "bibtex is an entry that begins with @, or empty"


def every_image_has_sensors(name: str, paths: Sequence[str] = ()) -> None:
    """Files hold one sensor each, which the name tells, or strips of all of them."""
    dataset = registry.get(name)
    assert (dataset.strip_size is None) == bool(dataset.sensors), "either `sensors` or `strip_size` must be given"


def right_names_are_read(name: str, paths: Sequence[str] = ()) -> None:
    """Every name belongs to an item whose labels lie in their ranges; in complete datasets no file is missing."""
    dataset = registry.get(name)
    for scan in _scans(dataset, paths):
        assert not scan.misnamed, f"not read: {scan.misnamed[:3]}"
        assert not scan.missing, f"missing beside the names given: {[*scan.missing.values()][:3]}"
        for item in scan.items:
            assert min(item.identity, item.scene) >= 0, f"{item.name} has a label below 0"
            assert 0 <= item.camera < dataset.card.cameras, f"{item.name} has the camera {item.camera}"
            assert set(item.images) <= set(dataset.card.sensors), f"{item.name} has other sensors"


def other_names_are_faults(name: str, paths: Sequence[str] = ()) -> None:
    """What is named in another way is not passed over."""
    for scan in _scans(registry.get(name), ["no such name.jpg"]):
        assert len(scan.misnamed) == 1, "a wrong name is no fault"


def order_of_names_changes_nothing(name: str, paths: Sequence[str] = ()) -> None:
    """Items are the same in whatever order a disk lists their files."""
    dataset = registry.get(name)
    names = [*paths] or _planned(dataset)
    for one, other in zip(_scans(dataset, names), _scans(dataset, names[::-1]), strict=True):
        assert one.items == other.items, "items depend on the order of the files"


def there_is_something_for_every_role(name: str, paths: Sequence[str] = ()) -> None:
    """Names are read as training, query and gallery items, and no identity is both trained on and tested with."""
    for scan in _scans(registry.get(name), paths):
        by_role = {role: {item.identity for item in scan.items if role in item.roles} for role in Role}
        for role, identities in by_role.items():
            assert identities, f"there are no {str(role.name).lower()} items"
        both = by_role[Role.TRAIN] & (by_role[Role.QUERY] | by_role[Role.GALLERY])
        assert not both, f"trained on and tested with: {sorted(both)[:3]}"


def default_protocols_compare_something(name: str, paths: Sequence[str] = ()) -> None:
    """Under every protocol that is measured unless another is asked for, some query has a gallery."""
    dataset = registry.get(name)
    for scan in _scans(dataset, paths):
        test = Items.of(item for item in scan.items if item.roles & (Role.QUERY | Role.GALLERY))
        for setting in resolve(dataset.card.default_protocols, dataset.card.sensors):
            assert not isinstance(setting, Protocol) or setting.needs in dataset.card.sensors, (
                f"{setting} needs others"
            )
            trials = dataset.trials(test, setting)
            assert trials, f"there is no trial under {setting}"
            assert all(len(trial.query) and len(trial.gallery) for trial in trials), f"{setting} compares nothing"


def _planned(dataset: Dataset) -> list[str]:
    return [path for frame in dataset.plan("tiny") for path in (*frame.paths, *frame.copy)]


def _scans(dataset: Dataset, paths: Sequence[str]) -> Iterator[Scan]:
    """Yield what names are read as, split by split; without names, those of the synthetic copy."""
    lists = dataset.lists("tiny") if dataset.drawable else {}
    with TemporaryDirectory() as folder:
        for path, text in lists.items():
            (Path(folder) / path).parent.mkdir(parents=True, exist_ok=True)
            (Path(folder) / path).write_text(text, encoding="utf-8")
        for split in dataset.splits or (None,):
            yield dataset.scan([*paths] or _planned(dataset), dataset.assignment(Path(folder), split))


DATASET_CHECKS: tuple[Callable[..., None], ...] = (
    card_names_the_entry_point,
    every_image_has_sensors,
    right_names_are_read,
    other_names_are_faults,
    order_of_names_changes_nothing,
    there_is_something_for_every_role,
    default_protocols_compare_something,
)
"""Call each with the registered name of a dataset; of one without a synthetic copy, with names of images too."""
