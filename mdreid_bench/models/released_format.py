"""The form of the checkpoints that the authors of a method released: every name, every shape, what becomes of it."""

import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor

from mdreid_bench.config.tree import Tree
from mdreid_bench.models.state_dict import UNKNOWN, Faults

BLOCK = "{n}"
"""Stands for the number of a transformer block in the name of a row."""
HEAD = "{h}"
"""Stands for the number of a head of experts, likewise; a name has one number of either kind."""
COUNTER = "num_batches_tracked"
"""Last part of the names of counters that nothing is computed with; a file may lack any of them."""
_DIGITS = 6
_SIDE = re.compile(r"(\d*)([A-Z]?)")


@dataclass(frozen=True)
class Row:
    """One tensor of a released checkpoint, or one of every transformer block or head of experts.

    Attributes:
        name: as released; ``{n}`` stands for the number of the block, ``{h}`` for that of the head.
        shape: sides with a space between, such as ``"C 1536"``; a letter is a size that the file decides: C
            identities, K cameras, L rows of the position table. A number before a letter multiplies it.
        own: the parameter that it becomes; None for a tensor that is knowingly left out.
        part: that which a file may lack as a whole, because no embedding depends on it; empty where one does.
    """

    name: str
    shape: str
    own: str | None
    part: str = ""

    @property
    def numbered(self) -> str | None:
        """What stands for a number in the name, if anything does."""
        return next((mark for mark in (BLOCK, HEAD) if mark in self.name), None)

    def at(self, number: int) -> "Row":
        """Return the row of one block or head."""
        mark = self.numbered or ""
        own = self.own and self.own.replace(mark, str(number))
        return replace(self, name=self.name.replace(mark, str(number)), own=own)

    def neutral(self, sizes: Mapping[str, int]) -> Tensor:
        """Return what stands for a tensor that the file lacks: a norm that changes nothing, a head of zeros."""
        gain = self.name.endswith("running_var") or (self.name.endswith(".weight") and len(_sides(self.shape)) == 1)
        return torch.full(self.shape_for(sizes), int(gain), dtype=torch.long if self.part == COUNTER else torch.float)

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """What the names of this row look like, the number as a group."""
        return re.compile(re.escape(self.name).replace(re.escape(self.numbered or ""), rf"(\d{{1,{_DIGITS}}})"))

    def shape_for(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """Return the shape in numbers, ``UNKNOWN`` for a side whose letter has no size."""
        known = {"": 1} | dict(sizes)
        return tuple(factor * known[letter] if letter in known else UNKNOWN for factor, letter in _sides(self.shape))

    def votes(self, shape: Sequence[int]) -> Iterable[tuple[str, int]]:
        """Yield the sizes that a tensor of this shape speaks for."""
        sides = _sides(self.shape)
        if len(sides) == len(shape):
            for (factor, letter), side in zip(sides, shape, strict=True):
                if letter and side % factor == 0:
                    yield letter, side // factor


def _sides(shape: str) -> list[tuple[int, str]]:
    sides = []
    for part in shape.split():
        match = _SIDE.fullmatch(part)
        assert match is not None, f"{part!r} is no side of a shape"
        sides.append((int(match[1] or 1), match[2]))
    return sides


@dataclass(frozen=True)
class Layout:
    """What one file says of its own size: its transformer blocks, and the value of every letter in the shapes."""

    blocks: int
    sizes: Mapping[str, int]


class ReleasedFormat(ABC):
    """The checkpoints that one code base writes: state dicts of tensors, under whatever prefix.

    Class attributes:
        title: the code base in a few words.
        trunk: name of the trunk here that has the released one's structure.
        patch: side of a patch in pixels.
        leading: rows of the position table before those of the patches.
        position: released name of the position table.
        published_under: options that the published figures were measured under, where a file does not fix them and
            the defaults are others; ``verify`` sets them.
    """

    title: ClassVar[str]
    trunk: ClassVar[str]
    patch: ClassVar[int] = 16
    leading: ClassVar[int]
    position: ClassVar[str]
    published_under: ClassVar[Mapping[str, Any]] = {}

    @property
    @abstractmethod
    def rows(self) -> Sequence[Row]:
        """One row for each tensor."""

    def options(self, state: Mapping[str, Tensor]) -> Tree:
        """Return those options of the method that the values in a file decide."""
        return {}

    @abstractmethod
    def converted(self, state: Mapping[str, Tensor], options: Mapping[str, Any]) -> dict[str, Tensor]:
        """Return the parameters by their names here, of the same number of elements as there.

        Args:
            state: as :meth:`completed` returns it.
            options: of the method to be filled.
        """

    def likeness(self, names: Iterable[str]) -> float:
        """Return the share of names, out of the file's and those that matter, that are of the format; 1 for all."""
        given = set(names)
        rows = self._expanded(given)
        return len(given & {row.name for row in rows}) / len(given | {row.name for row in rows if not row.part})

    def layout(self, state: Mapping[str, Tensor]) -> Layout:
        """Return the sizes that most tensors speak for."""
        votes: dict[str, Counter[int]] = {}
        for row in self._expanded(state):
            if row.name in state:
                for letter, size in row.votes(state[row.name].shape):
                    votes.setdefault(letter, Counter())[size] += 1
        return Layout(
            self._count(state, BLOCK), {letter: found.most_common(1)[0][0] for letter, found in votes.items()}
        )

    def faults(self, state: Mapping[str, Tensor]) -> Faults:
        """Return which names are missing or unexpected and which shapes are not what they should be."""
        layout, free = self.layout(state), {COUNTER, *self.absent(state)}
        rows = [row for row in self._expanded(state) if row.name in state or row.part not in free]
        wanted = {row.name: row.shape_for(layout.sizes) for row in rows}
        return Faults.between(wanted, {name: tuple(value.shape) for name, value in state.items()})

    def absent(self, names: Container[str]) -> list[str]:
        """Return the parts that a file lacks as a whole, and the counters if a norm has none."""
        rows = [row for row in self.rows if row.part]
        found = {row.part for row in rows if row.name in names}
        counters = [row.name for row in rows if row.part == COUNTER and row.name not in names]
        uncounted = any(name.replace(COUNTER, "weight") in names for name in counters)
        lacking = dict.fromkeys(row.part for row in rows if row.part not in found | {COUNTER})
        return [*lacking, *([COUNTER] if uncounted else [])]

    def completed(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return a state without faults and, for all that it lacks, values that no embedding depends on."""
        layout = self.layout(state)
        sizes = {"C": 1, **layout.sizes}
        rows = [row for row in self._expanded(state) if row.name not in state]
        return {**state, **{row.name: row.neutral(sizes) for row in rows}}

    def mapped(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return every tensor that is kept under its name here."""
        pairs = ((row.own, state[row.name]) for row in self._expanded(state))
        return {own: value for own, value in pairs if own is not None}

    def _expanded(self, names: Iterable[str]) -> list[Row]:
        """Return one row for each tensor, with as many blocks and heads as some names speak of."""
        given = list(names)
        counts = {mark: self._count(given, mark) for mark in (BLOCK, HEAD)}
        rows = []
        for row in self.rows:
            rows += [row.at(number) for number in range(counts[row.numbered])] if row.numbered else [row]
        return rows

    def _count(self, names: Iterable[str], mark: str) -> int:
        """Return one more than the highest number of a block or head in names, at least 1.

        Every one of them has names of its own, so a number beyond that of all names is none.
        """
        given = list(names)
        patterns = [row.pattern for row in self.rows if row.numbered == mark]
        matches = (pattern.fullmatch(name) for name in given for pattern in patterns)
        numbers = (int(match[1]) for match in matches if match)
        return max((number for number in numbers if number < len(given)), default=0) + 1
