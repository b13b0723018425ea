"""What is typed on the command line, read: names, sizes, files; each message names the option and the way out."""

import math
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from mdreid_bench.cli.command import option
from mdreid_bench.config.schema import LARGEST_SEED
from mdreid_bench.config.tree import Tree, read_yaml
from mdreid_bench.data import registry
from mdreid_bench.data.card import DatasetCard
from mdreid_bench.data.transfer import check_source
from mdreid_bench.errors import UsageError
from protocols.mixed import MixedAvailability
from protocols.modality import Modality
from protocols.names import UnknownNameError
from protocols.reranking import Reranking

ALL = "all"
"""Stands for every registered name."""
PLAIN_MIXED = "mixed"
_UNITS = {"": 1, "B": 1}
_UNITS |= {f"{prefix}B": 1000**power for power, prefix in enumerate("KMGT", start=1)}
_UNITS |= {f"{prefix}IB": 1024**power for power, prefix in enumerate("KMGT", start=1)}
_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,15})?)\s*([A-Z]*)")

T = TypeVar("T")


def reader(parse: Callable[[str], T]) -> Callable[[str | T], T]:
    """Return a parser for typer, which also gives it defaults, and would put a ``ValueError`` into its own words."""

    def read(value: str | T) -> T:
        try:
            return parse(value) if isinstance(value, str) else value
        except UnknownNameError as error:
            raise UsageError(str(error)) from None

    return read


def one_of(kind: str, choices: Sequence[T], meant: Mapping[str, str] | None = None) -> Callable[[str], T]:
    """Return what reads one of some words, in any case; ``meant`` has the words that others probably stand for."""

    def read(name: str) -> T:
        by_word = {str(choice): choice for choice in choices}
        if name.lower() not in by_word:
            raise UnknownNameError(kind, name, by_word, nearest=(meant or {}).get(name.lower()))
        return by_word[name.lower()]

    return read


def config_file(text: str) -> Tree:
    """Read the file given to ``--config``, which may be a pipe and is therefore read here alone; ``-`` is stdin.

    Raises:
        UsageError: when it cannot be read or is no configuration.
    """
    return read_yaml(Path("/dev/stdin" if text == "-" else os.path.expanduser(text)))


def chosen(
    names: Iterable[str], valid: Sequence[str], kind: str, usable: Callable[[], Iterable[str]] | None = None
) -> list[str]:
    """Return the valid names that were meant: in order of mention, each once; ``all`` stands for every one.

    Args:
        names: as typed, in any case.
        valid: the registered names, as registered.
        kind: what they name, for the error.
        usable: returns those that ``all`` stands for, where it is not every valid one.

    Raises:
        UnknownNameError: for a name that is neither valid nor ``all``.
    """
    found: dict[str, None] = {}
    for name in names:
        if name.casefold() == ALL and name not in valid:
            found.update(dict.fromkeys(usable() if usable else valid))
        else:
            found[chosen_one(name, valid, kind, [*dict.fromkeys((*valid, ALL))])] = None
    return list(found)


def chosen_one(name: str, valid: Sequence[str], kind: str, shown: Sequence[str] | None = None) -> str:
    """Return the one valid name that was meant, as registered; ``shown`` are the names that the error lists.

    Raises:
        UnknownNameError: for a name that is not valid.
    """
    if name in valid:
        return name
    for one in valid:
        if one.casefold() == name.casefold():
            return one
    raise UnknownNameError(kind, name, shown or valid)


def splits_of(datasets: Sequence[str], asked: Sequence[str]) -> dict[str, list[str | None]]:
    """Return the splits that are asked for of each dataset; None for the first, or the only one.

    Raises:
        UnknownNameError: for a split that a dataset does not have.
        UsageError: when splits are asked for and no dataset has any.
    """
    known = {name: registry.get(name) for name in datasets}
    if asked and not any(dataset.splits for dataset in known.values()):
        named = ", ".join(dataset.card.title for dataset in known.values())
        raise UsageError(f"--split chooses between ways to divide a dataset, and {named} has one; leave it out.")
    return {
        name: [*chosen(asked, dataset.splits, f"split of {dataset.card.title}")]
        if asked and dataset.splits
        else [None]
        for name, dataset in known.items()
    }


def sources_of(names: Iterable[str], targets: Iterable[DatasetCard]) -> list[str]:
    """Return the datasets that are to be trained on instead of others, each once.

    Raises:
        UnknownNameError: for a name that is no dataset's.
        UsageError: for one that is a target, or lacks sensors of one.
    """
    found = dict.fromkeys(chosen_one(name, registry.names(), "dataset") for name in names)
    for target in targets:
        for name in found:
            check_source(target, registry.get(name).card)
    return list(found)


def with_mix(protocols: Iterable[str], mix: float | None, mix_seed: int | None) -> list[str]:
    """Put the probability and the seed of ``--mix`` and ``--mix-seed`` into each plain ``mixed``.

    Raises:
        UsageError: when there is no plain ``mixed`` to put them into, or the probability is out of range.
    """
    names = [name.strip() for name in protocols]
    if mix is None and mix_seed is None:
        return names
    plain = [name.lower() == PLAIN_MIXED for name in names]
    if not any(plain):
        raise UsageError("--mix and --mix-seed are for --protocol mixed; add it, or leave them out.")
    probability = MixedAvailability.probability if mix is None else mix
    if not 0 < probability <= 1:
        raise UsageError(f"--mix takes a probability above 0 and at most 1, not {probability:g}.")
    setting = str(MixedAvailability(probability, mix_seed or 0))
    return [setting if is_plain else name for name, is_plain in zip(names, plain, strict=True)]


def parse_reranking(text: str) -> Reranking:
    """Read ``"20,6,0.3"``.

    Raises:
        UsageError: for another form, or a number out of range.
    """
    try:
        return Reranking.parse(text)
    except ValueError:
        raise UsageError(
            f"--rerank takes k1,k2,lambda, such as 20,6,0.3, not {text!r}: k1 and k2 are at least 1, lambda is from "
            "0 to 1."
        ) from None


def whole(flag: str, least: int = 0) -> Callable[[str], int]:
    """Return what reads a whole number for an option."""

    def read(text: str) -> int:
        if not re.fullmatch(r"\s*[0-9]{1,18}\s*", text, re.ASCII) or int(text) < least:
            raise UsageError(f"{flag} takes a whole number of at least {least}, not {text!r}.")
        return int(text)

    return read


def number(flag: str) -> Callable[[str], float]:
    """Return what reads a finite number for an option."""

    def read(text: str) -> float:
        try:
            found = float(text)
        except ValueError:
            found = math.nan
        if not math.isfinite(found):
            raise UsageError(f"{flag} takes a number, not {text!r}.")
        return found

    return read


def parse_rate(text: str) -> float:
    """Read the rate at which training items lose sensors.

    Raises:
        UsageError: for something other than a number, or one out of range.
    """
    rate = number("--missing")(text)
    if not 0 <= rate < 1:
        raise UsageError(f"--missing takes a rate of at least 0 and below 1, such as 0.3, not {text!r}.")
    return rate


def parse_seed(text: str) -> int:
    """Read a seed.

    Raises:
        UsageError: for something other than a whole number, or one out of range.
    """
    several = [part.strip() for part in text.split(",")]
    if len(several) > 1 and all(re.fullmatch("[0-9]{1,18}", part, re.ASCII) for part in several):
        raise UsageError(f"--seed takes one number and may be repeated: {' '.join(f'--seed {s}' for s in several)}.")
    if not re.fullmatch(r"\s*[0-9]{1,30}\s*", text, re.ASCII) or int(text) > LARGEST_SEED:
        raise UsageError(f"--seed takes a whole number from 0 to {LARGEST_SEED}, not {text!r}.")
    return int(text)


def parse_image(text: str) -> tuple[Modality, Path]:
    """Read ``"D=depth.png"``: the letter of a sensor and a file.

    Raises:
        UsageError: for another form or an unknown letter.
    """
    letter, equals, path = text.partition("=")
    if not equals or not path or letter.strip().upper() not in Modality.__members__:
        known = ", ".join(Modality.__members__)
        raise UsageError(
            f"--image takes the letter of a sensor ({known}) and a file, such as D=depth.png, not {text!r}."
        )
    return Modality.parse(letter), Path(os.path.expanduser(path))


def parse_size(text: str, flag: str = "--memory-budget") -> int:
    """Read a number of bytes such as ``"1GiB"``, ``"500 MB"`` or ``"1048576"``; the case does not matter.

    Raises:
        UsageError: for another form, an unknown unit or less than one byte.
    """
    found = _SIZE.fullmatch(text.strip().upper())
    if found is None or found[2] not in _UNITS:
        raise UsageError(f"{flag} takes a size such as 500MB or 1GiB, not {text!r}.")
    size = int(float(found[1]) * _UNITS[found[2]])
    if size < 1:
        raise UsageError(f"{flag} must be at least one byte, not {text!r}.")
    return size


def count(panel: str, flag: str, help: str, least: int = 0, default: bool = False) -> Any:
    """Declare an option that takes a whole number."""
    return option(panel, flag, help, default, metavar="<int>", parser=reader(whole(flag, least)))


def choice(
    panel: str,
    flag: str,
    help: str,
    words: Sequence[str],
    default: bool = False,
    meant: Mapping[str, str] | None = None,
) -> Any:
    """Declare an option that takes one of some words, in any case, and shows them; see :func:`one_of`."""
    read = reader(one_of(f"value of {flag}", words, meant))
    return option(panel, flag, help, default, metavar=f"[{'|'.join(words)}]", parser=read)


def folder(panel: str, flag: str, help: str, default: bool = False, **more: Any) -> Any:
    """Declare an option that takes a folder, which need not be there yet."""

    def read(text: str) -> Path:
        path = Path(os.path.expanduser(text))
        if path.is_file():
            raise UsageError(f"{flag} takes a folder, and {text} is a file; name another.")
        return path

    return option(panel, flag, help, default, metavar="<path>", parser=reader(read), **more)
