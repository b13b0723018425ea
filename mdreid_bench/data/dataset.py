"""The contract of a dataset: from file names to labelled items, without opening an image."""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from posixpath import splitext
from typing import ClassVar

from mdreid_bench.data.card import DatasetCard
from mdreid_bench.data.images import SUFFIXES
from mdreid_bench.data.items import Item, Items, Role
from mdreid_bench.data.synthetic.plan import PlannedFrame, Scale
from mdreid_bench.errors import UsageError
from protocols.modality import Modality
from protocols.names import UnknownNameError
from protocols.suites import Setting
from protocols.trial import Trial, trial_of


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
class Scan:
    """The outcome of reading file names.

    Attributes:
        items: all whose names can be read, sorted by path, also those that lack files.
        misnamed: files whose names or places are wrong.
        missing: the files that items of a dataset lack whose items must have all sensors, by place in ``items``.
    """

    items: tuple[Item, ...]
    misnamed: tuple[Fault, ...] = ()
    missing: Mapping[int, tuple[str, ...]] = field(default_factory=dict)


Assignment = Callable[[re.Match[str]], Role]
"""Tells from the matched path of an image what it is used for; ``Role(0)`` for nothing."""


class Dataset(ABC):
    """One subclass per dataset, registered in the entry-point group ``mdreid_bench.datasets``.

    Attributes:
        card: the published facts.
        roles: folders that hold the images, relative to the folder of the dataset, and what each is used for.
        sensors: sensor by the text of the group ``sensor`` of the grammar; empty where one file holds all sensors.
        grammar: the path of an image relative to the folder of the dataset, with the groups ``file`` (the name of the
            item, unique within its role unless ``item_name`` says more), ``role`` (a key of ``roles``) and, where
            there are ``sensors``, ``sensor``.
        form: the name of an image in plain words, for messages.
        strip_size: (width, height) of a strip that holds the sensors side by side in canonical order, or None for one
            file a sensor.
        splits: names of the ways to divide the dataset into training and test items, one of which is chosen before
            training; the first unless another is asked for. Empty where there is only one way.
    """

    card: ClassVar[DatasetCard]
    roles: ClassVar[Mapping[str, Role]]
    sensors: ClassVar[Mapping[str, Modality]] = {}
    grammar: ClassVar[re.Pattern[str]]
    form: ClassVar[str] = ""
    strip_size: ClassVar[tuple[int, int] | None] = None
    splits: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        found = Modality(sum({sensor.value for sensor in cls.sensors.values()}))
        if cls.sensors and found != cls.card.sensors:
            raise UsageError(
                f"The dataset {cls.card.name!r} has files of {found}, but its card says {cls.card.sensors}; "
                "let its class attribute `sensors` and its card agree."
            )

    @abstractmethod
    def labels(self, match: re.Match[str]) -> tuple[int, int, int]:
        """Return identity, camera (0-based) and scene of a path that matches the grammar.

        Raises:
            ValueError: for a label outside its range; the text says which.
        """

    @property
    def drawable(self) -> bool:
        """Whether there is a synthetic copy."""
        return type(self).plan is not Dataset.plan

    def split(self, asked: str | None) -> str | None:
        """Return the split that is meant: the one asked for, else the first; None where there is only one way.

        Raises:
            UnknownNameError: when there is no such split.
        """
        if asked is not None and asked not in self.splits:
            raise UnknownNameError(f"split of {self.card.title}", asked, self.splits)
        return asked or next(iter(self.splits), None)

    def role_folders(self) -> dict[Role, str]:
        """Return the roles for which there are images, each with the first folder that holds them."""
        folders = {role: [folder for folder, roles in self.roles.items() if role in roles] for role in Role}
        return {role: found[0] for role, found in folders.items() if found}

    def folders(self) -> tuple[str, ...]:
        """Return the folders without which the dataset is not there."""
        return tuple(self.roles)

    def item(self, match: re.Match[str]) -> str:
        """Return what the images of one item have in common: here the path but for the text of the sensor.

        Where images of two sensors never show the same moment, the whole path.
        """
        return self._beside(match, "*") if self.sensors else match[0]

    def item_name(self, match: re.Match[str]) -> str:
        """Return the name of an item, unique within its role: here the text of ``file``."""
        return match["file"]

    def assignment(self, folder: Path, split: str | None) -> Assignment:
        """Return what tells the role of an image: here its folder.

        A dataset whose roles are in lists of names reads them here.

        Args:
            folder: of the dataset.
            split: one of ``splits``; None where there are none.

        Raises:
            DataError: when a list cannot be read.
        """
        return lambda match: self.roles[match["role"]]

    def named(self, folder: Path, split: str | None) -> Mapping[str, str]:
        """Return the images that lists of names ask for, each with its list; one that is not there is a fault.

        Arguments and errors are those of :meth:`assignment`.
        """
        return {}

    def trials(self, items: Items, setting: Setting) -> tuple[Trial, ...]:
        """Return what is compared under a protocol; figures are means over the trials.

        Here one trial of all queries and gallery items that have the sensors asked for.

        Args:
            items: the test items.
            setting: the protocol.
        """
        names, sensors = items.names, items.sensors
        return (trial_of(setting, names, sensors, items.query, items.gallery, self.card.sensors),)

    def plan(self, scale: Scale) -> list[PlannedFrame]:
        """Return what a synthetic copy consists of: a tiny one, or one with the published counts.

        Raises:
            UsageError: unless a dataset says otherwise, because it has no synthetic copy.
        """
        raise UsageError(f"There is no generator for {self.card.title}; pass real images with --data-root.")

    def lists(self, scale: Scale) -> Mapping[str, str]:
        """Return what else a synthetic copy consists of: the text of each list of names by its path."""
        return {}

    def scan(self, paths: Iterable[str], assignment: Assignment | None = None) -> Scan:
        """Turn image paths (POSIX, relative to the folder of the dataset) into items; collect all faults."""
        role_of = assignment or self.assignment(Path(), None)
        misnamed: list[Fault] = []
        images: dict[str, dict[Modality, str]] = {}
        named: dict[str, tuple[re.Match[str], tuple[int, int, int], Role]] = {}
        owners: dict[tuple[Role, str], str] = {}
        for path in sorted(paths):
            match = self._match(path)
            if match is None:
                misnamed.append(Fault(path, f"name outside the form {self.form or self.card.layout}"))
                continue
            role = role_of(match)
            if not role:
                continue
            try:
                labels = self.labels(match)
            except ValueError as error:
                misnamed.append(Fault(path, str(error)))
                continue
            key, sensors = self.item(match), self._sensors(match)
            if images.get(key, {}).keys() & sensors or owners.setdefault((role, self.item_name(match)), key) != key:
                misnamed.append(Fault(path, "another image has this name and sensor"))
                continue
            named.setdefault(key, (match, labels, role))
            images.setdefault(key, {}).update(dict.fromkeys(sensors, path))
        items, missing = [], {}
        for place, (key, (match, labels, role)) in enumerate(named.items()):
            own = {sensor: images[key][sensor] for sensor in self.card.sensors if sensor in images[key]}
            if self.card.complete and len(own) < len(self.card.sensors):
                missing[place] = tuple(self._beside(match, part) for part, m in self.sensors.items() if m not in own)
            items.append(Item(self._name(match, next(iter(own.values()))), *labels, role, own))
        return Scan(tuple(items), tuple(misnamed), missing)

    def _match(self, path: str) -> re.Match[str] | None:
        """Match the path of an image; its suffix may be that of any format, in any letters."""
        stem, suffix = splitext(path)
        others = sorted(SUFFIXES) if suffix.lower() in SUFFIXES else []
        matches = (self.grammar.fullmatch(tried) for tried in (path, *(stem + other for other in others)))
        return next(filter(None, matches), None)

    def _name(self, match: re.Match[str], path: str) -> str:
        """Return the name of an item with the suffix of its file."""
        name = self.item_name(match)
        stem, suffix = splitext(name)
        return stem + splitext(path)[1] if suffix == splitext(match[0])[1] else name

    def _sensors(self, match: re.Match[str]) -> set[Modality]:
        """Return the sensors whose images the file holds."""
        return {self.sensors[match["sensor"]]} if self.sensors else set(self.card.sensors)

    @staticmethod
    def _beside(match: re.Match[str], sensor: str) -> str:
        """Return the path with the text of the sensor replaced."""
        return match[0][: match.start("sensor")] + sensor + match[0][match.end("sensor") :]
