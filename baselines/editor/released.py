"""The released checkpoints of EDITOR."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, ClassVar

import torch
from torch import Tensor

from mdreid_bench.models.released_format import ReleasedFormat, Row
from mdreid_bench.models.released_rows import head_rows, move_patch_bias, vit_rows
from protocols.modality import RNT, Modality, N, R, T

_NAMES: Mapping[Modality, str] = {R: "RGB", N: "NIR", T: "TIR"}
_CENTRES = "centres.centres"
_HEAD, _JOINT, _SEPARATE = "supervision.heads.all.", "supervision.joint.", "supervision.separate."
_WAVELETS = {
    "DWT.h0_col": "1 1 2 1",
    "DWT.h1_col": "1 1 2 1",
    "DWT.h0_row": "1 1 1 2",
    "DWT.h1_row": "1 1 1 2",
    "IDWT.g0_col": "1 1 2 1",
    "IDWT.g1_col": "1 1 2 1",
    "IDWT.g0_row": "1 1 1 2",
    "IDWT.g1_row": "1 1 1 2",
}


class EDITORRelease(ReleasedFormat):
    """Names of the released EDITOR checkpoints.

    A file holds the heads of both kinds of supervision, of which one was trained; the option ``supervision`` says
    which is kept. Left out are the 1000-way layer and the Haar wavelets, which are constants: transforming there and
    back is the identity (docs/methods/editor.md, "Token selection").
    """

    title: ClassVar[str] = "the released code of EDITOR"
    trunk: ClassVar[str] = "vit-b-16-imagenet"
    leading: ClassVar[int] = 1
    position: ClassVar[str] = "BACKBONE.base.pos_embed"

    def rows(self) -> Sequence[Row]:
        """Return one row for each tensor."""
        return _rows()

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


@cache
def _rows() -> tuple[Row, ...]:
    rows = vit_rows("BACKBONE.base", "trunk")
    rows += [Row(f"FREQ_INDEX.{name}", shape, None) for name, shape in _WAVELETS.items()]
    for modality, name in _NAMES.items():
        own = f"aggregation.independent.{modality}"
        rows += _block(f"norm{modality}", f"attn{modality}", f"norm{modality}_", f"mlp{modality}", own)
        rows.append(Row(f"FUSE_block.memory_cls.{name}_centers", "C 768", f"{_CENTRES}.{modality}"))
        rows.append(Row(f"{name}_REDUCE.weight", "768 1536", f"aggregation.reduce.{modality}.weight"))
        rows.append(Row(f"{name}_REDUCE.bias", "768", f"aggregation.reduce.{modality}.bias"))
    rows += _block("norm1", "attn1", "norm2", "mlp", "aggregation.collaborative")
    rows += _norm("out_norm", "aggregation.norm")
    rows += head_rows("FUSE_HEAD", "FUSE_BN", 2304, "head")
    rows += head_rows("AL_HEAD", "AL_BN", 2304, _JOINT.removesuffix("."))
    rows += head_rows("BACKBONE_HEAD", "BACKBONE_BN", 768, _SEPARATE.removesuffix("."))
    return tuple(rows)


def _block(before: str, attention: str, between: str, mlp: str, own: str) -> list[Row]:
    return [
        *_norm(before, f"{own}.norm_attention"),
        Row(f"FUSE_block.{attention}.qkv.weight", "2304 768", f"{own}.qkv.weight"),
        Row(f"FUSE_block.{attention}.proj.weight", "768 768", f"{own}.projection.weight"),
        *_norm(between, f"{own}.norm_mlp"),
        Row(f"FUSE_block.{mlp}.fc1.weight", "3072 768", f"{own}.expand.weight"),
        Row(f"FUSE_block.{mlp}.fc2.weight", "768 3072", f"{own}.contract.weight"),
    ]


def _norm(released: str, own: str) -> list[Row]:
    return [Row(f"FUSE_block.{released}.{part}", "768", f"{own}.{part}") for part in ("weight", "bias")]
