"""Training on one dataset and testing on another: what forbids it, and which images both have."""

from collections.abc import Mapping
from dataclasses import dataclass

from mdreid_bench.data.card import DatasetCard
from mdreid_bench.data.images import InspectedImage
from mdreid_bench.data.index import DatasetIndex
from mdreid_bench.errors import UsageError
from mdreid_bench.wording import counted, printable

SHARED = "image in source and dataset"
"""What shared images are called among the findings of a record."""


def check_source(target: DatasetCard, source: DatasetCard) -> None:
    """Refuse a dataset as the source of another one.

    Raises:
        UsageError: when it is the same one, or lacks sensors of the other.
    """
    if source.name == target.name:
        raise UsageError(
            f"The --source {source.title} is the dataset itself, which is trained on without --source; name other "
            "datasets, or leave it out."
        )
    lacking = [str(sensor) for sensor in target.sensors if sensor not in source.sensors]
    if lacking:
        raise UsageError(
            f"The --source {source.title} has no {' and no '.join(lacking)}, which {target.title} has; name a source "
            f"that has {target.sensors}."
        )


def check_folders(target: DatasetIndex, source: DatasetIndex) -> None:
    """Refuse a source that lies in the very folder of the dataset.

    Raises:
        UsageError: when it does.
    """
    if source.root.resolve() == target.root.resolve():
        raise UsageError(
            f"The source {source.card.title} and {target.card.title} are both {target.root}; name another source, or "
            "its folder with --source-root."
        )


@dataclass(frozen=True)
class Shared:
    """Images of a dataset whose content is in its source too.

    Attributes:
        images: how many different ones.
        identities: of the dataset, that they show.
        example: path of the first, and of one with its content in the source.
    """

    target: str
    source: str
    images: int
    identities: int
    example: tuple[str, str]

    @property
    def sentence(self) -> str:
        """All of it."""
        here, there = map(printable, self.example)
        of = "identity" if self.identities == 1 else "identities"
        return (
            f"{self.target} has {counted(self.images, 'image')} of {self.identities} {of} in common with its source "
            f"{self.source}, such as {here}, there {there}; figures are too good where a method was trained on what "
            "it is tested with."
        )


@dataclass(frozen=True)
class Contents:
    """What the images of a dataset hold.

    Attributes:
        title: of the dataset.
        identity: of each image, by path.
        facts: of each, by path.
    """

    title: str
    identity: Mapping[str, int]
    facts: Mapping[str, InspectedImage]

    @classmethod
    def of(cls, index: DatasetIndex) -> "Contents":
        """Take the training and test items, whatever the limit."""
        whole = index.unlimited or index
        identity = {
            path: label
            for items in (whole.train, whole.test)
            for images, label in zip(items.images, items.labels.identity.tolist(), strict=True)
            for path in images.values()
        }
        return cls(index.card.title, identity, index.facts)


def shared_images(target: Contents, source: Contents) -> Shared | None:
    """Find the images of a dataset whose content is in its source too; None where there are none."""
    there = {source.facts[path].digest: path for path in sorted(source.identity)}
    found = [path for path in sorted(target.identity) if target.facts[path].digest in there]
    if not found:
        return None
    identities = {target.identity[path] for path in found}
    example = found[0], there[target.facts[found[0]].digest]
    contents = {target.facts[path].digest for path in found}
    return Shared(target.title, source.title, len(contents), len(identities), example)
