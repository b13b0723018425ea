"""The released checkpoints of EDITOR."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor

from mdreid_bench.config.tree import Tree
from mdreid_bench.models.released_format import ReleasedFormat, Row
from mdreid_bench.models.released_rows import head_rows, layer_rows, move_patch_bias, vit_rows
from protocols.modality import RNT, Modality, N, R, T

_NAMES: Mapping[Modality, str] = {R: "RGB", N: "NIR", T: "TIR"}
_CENTRES = "centres.centres"
_HEAD, _JOINT, _SEPARATE = "supervision.heads.all.", "supervision.joint.", "supervision.separate."
_SEPARATE_HEAD = "BACKBONE_HEAD.weight"
_WAVELETS = {"col": "1 1 2 1", "row": "1 1 1 2"}


class EDITORRelease(ReleasedFormat):
    """Names of the released EDITOR checkpoints.

    A file holds the heads of both kinds of supervision, of which one was trained, or those of the separate one alone;
    the option ``supervision`` says which is kept. Left out are the 1000-way layer and the Haar wavelets, which are
    constants: transforming there and back is the identity (docs/methods/editor.md, "Token selection").
    """

    title: ClassVar[str] = "the released code of EDITOR"
    trunk: ClassVar[str] = "vit-b-16-imagenet"
    leading: ClassVar[int] = 1
    position: ClassVar[str] = "BACKBONE.base.pos_embed"

    @cached_property
    def rows(self) -> Sequence[Row]:
        """One row for each tensor."""
        rows = vit_rows("BACKBONE.base", "trunk")
        for axis, shape in _WAVELETS.items():
            for filters in ("DWT.h0", "DWT.h1", "IDWT.g0", "IDWT.g1"):
                rows.append(Row(f"FREQ_INDEX.{filters}_{axis}", shape, None, "FREQ_INDEX"))
        for modality, name in _NAMES.items():
            own = f"aggregation.independent.{modality}"
            rows += _block(f"norm{modality}", f"attn{modality}", f"norm{modality}_", f"mlp{modality}", own)
            rows.append(Row(f"FUSE_block.memory_cls.{name}_centers", "C 768", f"{_CENTRES}.{modality}"))
            rows += layer_rows(f"{name}_REDUCE.", f"aggregation.reduce.{modality}.", "768 1536")
        rows += _block("norm1", "attn1", "norm2", "mlp", "aggregation.collaborative")
        rows += layer_rows("FUSE_block.out_norm.", "aggregation.norm.", "768")
        rows += head_rows("FUSE_HEAD", "FUSE_BN", 2304, "head")
        rows += head_rows("AL_HEAD", "AL_BN", 2304, _JOINT.removesuffix("."))
        rows += head_rows("BACKBONE_HEAD", "BACKBONE_BN", 768, _SEPARATE.removesuffix("."))
        return rows

    def options(self, state: Mapping[str, Tensor]) -> Tree:
        """Return the kind of supervision where the file has the heads of one alone."""
        return {"supervision": "separate"} if "AL_HEAD" in self.absent(state) and _SEPARATE_HEAD in state else {}

    def converted(self, state: Mapping[str, Tensor], options: Mapping[str, Any]) -> dict[str, Tensor]:
        """Return the parameters by their names here."""
        mapped = self.mapped(state)
        move_patch_bias(mapped, "trunk")
        mapped[_CENTRES] = torch.stack([mapped.pop(f"{_CENTRES}.{modality}") for modality in RNT])
        kept, other = (_JOINT, _SEPARATE) if options["supervision"] == "joint" else (_SEPARATE, _JOINT)
        return {
            _HEAD + name.removeprefix(kept) if name.startswith(kept) else name: value
            for name, value in mapped.items()
            if not name.startswith(other)
        }


def _block(before: str, attention: str, between: str, mlp: str, own: str) -> list[Row]:
    return [
        *layer_rows(f"FUSE_block.{before}.", f"{own}.norm_attention.", "768"),
        Row(f"FUSE_block.{attention}.qkv.weight", "2304 768", f"{own}.qkv.weight"),
        Row(f"FUSE_block.{attention}.proj.weight", "768 768", f"{own}.projection.weight"),
        *layer_rows(f"FUSE_block.{between}.", f"{own}.norm_mlp.", "768"),
        Row(f"FUSE_block.{mlp}.fc1.weight", "3072 768", f"{own}.expand.weight"),
        Row(f"FUSE_block.{mlp}.fc2.weight", "768 3072", f"{own}.contract.weight"),
    ]
