"""The released checkpoints of MDReID, RGBNT201, RGBNT100 and MSVR310 alike."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor

from mdreid_bench.config.tree import Tree
from mdreid_bench.models.released_format import ReleasedFormat, Row
from mdreid_bench.models.released_rows import CLIP_POSITION, CLIP_TOWER, clip_rows, head_rows
from protocols.modality import RNT

_CLASS, _SHARED = CLIP_TOWER + "class_embedding", CLIP_TOWER + "add_image_token"
_SHARED_HERE = "trunk.shared_token"
UNTRAINED_HEADS = ("rs", "ns", "ts")
"""Suffixes of the heads over [sp_m | sh_m], untrained as released (docs/methods/mdreid.md, "Heads")."""


class MDReIDRelease(ReleasedFormat):
    """Names of the released MDReID checkpoints; all but those of ``UNTRAINED_HEADS`` are kept.

    The released code makes the shared token the class token's own parameter, so both hold the same values and the
    second one is left out. Where they differ, the tokens are separate parameters here too.
    """

    title: ClassVar[str] = "the released code of MDReID"
    trunk: ClassVar[str] = "ViT-B-16-quickgelu"
    leading: ClassVar[int] = 2
    position: ClassVar[str] = CLIP_POSITION

    @cached_property
    def rows(self) -> Sequence[Row]:
        """One row for each tensor."""
        rows = [*clip_rows(), Row(_SHARED, "768", _SHARED_HERE)]
        for modality in RNT:
            rows += _head(str(modality).lower(), 512, f"specific_heads.{modality}")
        rows += _head("s", 1536, "shared_head")
        for suffix in UNTRAINED_HEADS:
            rows += _head(suffix, 1024, None)
        return rows

    def options(self, state: Mapping[str, Tensor]) -> Tree:
        """Return whether the two tokens are one parameter."""
        return {"tie_shared_token": torch.equal(state[_CLASS], state[_SHARED])}

    def converted(self, state: Mapping[str, Tensor], options: Mapping[str, Any]) -> dict[str, Tensor]:
        """Return the parameters by their names here."""
        mapped = self.mapped(state)
        if options["tie_shared_token"]:
            del mapped[_SHARED_HERE]
        return mapped


def _head(suffix: str, width: int, own: str | None) -> list[Row]:
    return head_rows(f"classifier_{suffix}", f"bottleneck_{suffix}", width, own)
