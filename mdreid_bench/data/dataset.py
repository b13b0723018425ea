"""The contract of a dataset: from file names to labelled triplets, without opening an image."""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from mdreid_bench.data.card import DatasetCard
from mdreid_bench.data.items import Role
from protocols.modality import SINGLES, Modality


@dataclass(frozen=True)
class Fault:
    """Something wrong with one file.

    Attributes:
        path: relative to the folder of the dataset.
        what: a few words, such as ``"file is missing"``.
    """

    path: str
    what: str


@dataclass(frozen=True)
class Triplet:
    """Three aligned images of one identity.

    Attributes:
        name: file name, unique within its split.
        identity: label as in the file name.
        camera: 0-based.
        scene: as in the file name; 0 where names have none.
        roles: what it is used for.
        paths: files of R, N, T relative to the folder of the dataset; three times the same one for a strip.
    """

    name: str
    identity: int
    camera: int
    scene: int
    roles: Role
    paths: tuple[str, str, str]


@dataclass(frozen=True)
class Incomplete:
    """What there is of a triplet that lacks one or two files.

    Attributes:
        name: as in ``Triplet``, like the labels and the roles.
        present: files that are there, by sensor.
        missing: files that are not.
    """

    name: str
    identity: int
    camera: int
    scene: int
    roles: Role
    present: Mapping[Modality, str]
    missing: tuple[str, ...]


@dataclass(frozen=True)
class Scan:
    """The outcome of reading file names.

    Attributes:
        triplets: what is usable, sorted by path.
        faults: everything that is wrong.
        misnamed: those of the faults that are in the names of files, not in the lack of them.
        incomplete: the triplets that lack files.
    """

    triplets: tuple[Triplet, ...]
    faults: tuple[Fault, ...]
    misnamed: tuple[Fault, ...] = ()
    incomplete: tuple[Incomplete, ...] = ()

    @property
    def labelled(self) -> "list[Triplet | Incomplete]":
        """All triplets, complete or not."""
        return [*self.triplets, *self.incomplete]


class Dataset(ABC):
    """One subclass per dataset, registered in the entry-point group ``mdreid_bench.datasets``.

    Attributes:
        card: the published facts.
        splits: the folder of each split, relative to the folder of the dataset, and what it is used for.
        sensors: folder of each sensor, as the group ``sensor`` of the grammar gives it; empty for strips.
        grammar: the path of an image relative to the folder of the dataset, with the groups ``split``, ``file`` and,
            unless images are strips, ``sensor``.
        strip_size: (width, height) of a strip that holds R, N, T side by side, or None for three files.
    """

    card: ClassVar[DatasetCard]
    splits: ClassVar[Mapping[str, Role]]
    sensors: ClassVar[Mapping[str, Modality]] = {}
    grammar: ClassVar[re.Pattern[str]]
    strip_size: ClassVar[tuple[int, int] | None] = None

    @abstractmethod
    def labels(self, match: re.Match[str]) -> tuple[int, int, int]:
        """Return identity, camera (0-based) and scene of a path that matches the grammar.

        Raises:
            ValueError: for a label outside its range; the text says which.
        """

    def folders(self) -> tuple[str, ...]:
        """Return the folders without which the dataset is not there."""
        return tuple(self.splits)

    def scan(self, paths: Iterable[str]) -> Scan:
        """Turn image paths (POSIX, relative to the folder of the dataset) into triplets; collect all faults."""
        misnamed: list[Fault] = []
        found: dict[str, dict[Modality, str]] = {}
        labelled: dict[str, tuple[re.Match[str], tuple[int, int, int]]] = {}
        for path in sorted(paths):
            match = self.grammar.fullmatch(path)
            if match is None:
                misnamed.append(Fault(path, "name outside the grammar"))
                continue
            try:
                labels = self.labels(match)
            except ValueError as error:
                misnamed.append(Fault(path, str(error)))
                continue
            key = self._key(match)
            labelled[key] = (match, labels)
            group = found.setdefault(key, {})
            for modality in [self.sensors[match["sensor"]]] if self.sensors else SINGLES:
                group[modality] = path
        triplets, incomplete = [], []
        for key, group in found.items():
            match, labels = labelled[key]
            named = (match["file"], *labels, self.splits[match["split"]])
            folders = [folder for folder, modality in self.sensors.items() if modality not in group]
            if folders:
                missing = tuple(self._beside(match, folder) for folder in folders)
                present = {m: group[m] for m in SINGLES if m in group}
                incomplete.append(Incomplete(*named, present, missing))
            else:
                first, second, third = (group[m] for m in SINGLES)
                triplets.append(Triplet(*named, (first, second, third)))
        absent = [Fault(path, "file is missing") for part in incomplete for path in part.missing]
        return Scan(tuple(triplets), (*misnamed, *absent), tuple(misnamed), tuple(incomplete))

    def _key(self, match: re.Match[str]) -> str:
        """Return what the three paths of a triplet have in common."""
        return self._beside(match, "*") if self.sensors else match[0]

    @staticmethod
    def _beside(match: re.Match[str], folder: str) -> str:
        """Return the path with the folder of the sensor replaced."""
        return match[0][: match.start("sensor")] + folder + match[0][match.end("sensor") :]
