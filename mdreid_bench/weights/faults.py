"""How the tensors of a file differ from those that are expected, in words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mdreid_bench.wording import listed

Shape = tuple[int, ...]
UNKNOWN = -1
"""Side of an expected shape that nothing in the file tells."""


@dataclass(frozen=True)
class Faults:
    """Names that are missing from a file, unexpected in it, or misshapen; each sorted.

    Attributes:
        misshapen: name, shape in the file and expected shape.
    """

    missing: Sequence[str]
    unexpected: Sequence[str]
    misshapen: Sequence[tuple[str, Shape, Shape]]

    @classmethod
    def between(cls, wanted: Mapping[str, Shape], given: Mapping[str, Shape]) -> "Faults":
        """Compare the expected shapes with those of a file, by name."""
        common = sorted(wanted.keys() & given.keys())
        return cls(
            missing=sorted(wanted.keys() - given.keys()),
            unexpected=sorted(given.keys() - wanted.keys()),
            misshapen=[(name, given[name], wanted[name]) for name in common if given[name] != wanted[name]],
        )

    def __bool__(self) -> bool:
        return bool(self.missing or self.unexpected or self.misshapen)

    def __str__(self) -> str:
        shapes = [f"{name} is {_text(found)} instead of {_text(wanted)}" for name, found, wanted in self.misshapen]
        kinds = (("missing", self.missing), ("unexpected", self.unexpected), ("misshapen", shapes))
        return "; ".join(f"{kind}: {listed(names)}" for kind, names in kinds if names)


def _text(shape: Shape) -> str:
    return "x".join("?" if side == UNKNOWN else str(side) for side in shape) or "a scalar"
