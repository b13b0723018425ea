"""The released checkpoints of TOP-ReID."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, ClassVar

from torch import Tensor

from mdreid_bench.models.released_format import ReleasedFormat, Row
from mdreid_bench.models.released_rows import head_rows, move_patch_bias, vit_rows
from protocols.modality import RNT, Modality, N, R, T

_NAMES: Mapping[Modality, str] = {R: "RGB", N: "NI", T: "TI"}
_STEPS = ("start", "middle", "end")
_HEADS = "supervision.heads."
_ROTATION = {
    "norm1.weight": ("768", "norm_query.weight"),
    "norm1.bias": ("768", "norm_query.bias"),
    "attn.normy.weight": ("768", "norm_keys.weight"),
    "attn.normy.bias": ("768", "norm_keys.bias"),
    "attn.q_.weight": ("768 768", "query.weight"),
    "attn.k_.weight": ("768 768", "key.weight"),
    "attn.v_.weight": ("768 768", "value.weight"),
    "attn.proj.weight": ("768 768", "projection.weight"),
    "attn.proj.bias": ("768", "projection.bias"),
    "norm2.weight": ("768", "norm_mlp.weight"),
    "norm2.bias": ("768", "norm_mlp.bias"),
}
_BLOCK = {
    "norm1.weight": ("768", "norm_attention.weight"),
    "norm1.bias": ("768", "norm_attention.bias"),
    "attn.qkv.weight": ("2304 768", "qkv.weight"),
    "attn.proj.weight": ("768 768", "projection.weight"),
    "attn.proj.bias": ("768", "projection.bias"),
    "norm2.weight": ("768", "norm_mlp.weight"),
    "norm2.bias": ("768", "norm_mlp.bias"),
}
_MLP = {
    "mlp.fc1.weight": ("3072 768", "mlp.0.weight"),
    "mlp.fc1.bias": ("3072", "mlp.0.bias"),
    "mlp.fc2.weight": ("768 3072", "mlp.2.weight"),
    "mlp.fc2.bias": ("768", "mlp.2.bias"),
}


class TOPReIDRelease(ReleasedFormat):
    """Names of the released TOP-ReID checkpoints.

    A file holds the heads of both kinds of supervision, of which one was trained; the option ``supervision`` says
    which are kept. The 1000-way layers are left out. Of the two reconstruction blocks of a spectrum, the first
    predicts the spectrum that comes first in the order R, N, T.
    """

    title: ClassVar[str] = "the released code of TOP-ReID"
    trunk: ClassVar[str] = "vit-b-16-imagenet"
    leading: ClassVar[int] = 1
    position: ClassVar[str] = "RGB.base.pos_embed"

    def rows(self) -> Sequence[Row]:
        """Return one row for each tensor."""
        return _rows()

    def converted(self, state: Mapping[str, Tensor], options: Mapping[str, Any]) -> dict[str, Tensor]:
        """Return the parameters by their names here."""
        mapped = self.mapped(state)
        for modality in RNT:
            move_patch_bias(mapped, f"trunks.{modality}")
        joint = options["supervision"] == "joint"
        return {
            name: value
            for name, value in mapped.items()
            if not name.startswith(_HEADS) or name.startswith(f"{_HEADS}all.") == joint
        }


@cache
def _rows() -> tuple[Row, ...]:
    rows: list[Row] = []
    for modality, name in _NAMES.items():
        rows += vit_rows(f"{name}.base", f"trunks.{modality}")
        rows += head_rows(f"{name}.classifier", f"{name}.bottleneck", 768, f"{_HEADS}{modality}")
        others = [other for other in RNT if other != modality]
        for number, other in enumerate(others, start=1):
            rows += _renamed(f"CRM.{name}RE.re{number}.blocks.0", f"reconstruction.blocks.{modality}2{other}", _BLOCK)
    for number, step in enumerate(_STEPS):
        rows += _renamed(f"TPM.Ro_{step}.Rotation", f"permutation.blocks.{number}", _ROTATION)
    rows += head_rows("classifier_TPM", "bottleneck_TPM", 2304, "head")
    rows += head_rows("classifier_ViT", "bottleneck_ViT", 2304, f"{_HEADS}all")
    return tuple(rows)


def _renamed(released: str, own: str, names: Mapping[str, tuple[str, str]]) -> list[Row]:
    return [Row(f"{released}.{there}", shape, f"{own}.{here}") for there, (shape, here) in {**names, **_MLP}.items()]
