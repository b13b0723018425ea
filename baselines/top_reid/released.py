"""The released checkpoints of TOP-ReID."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

from torch import Tensor

from mdreid_bench.models.released_format import ReleasedFormat, Row
from mdreid_bench.models.released_rows import head_rows, layer_rows, move_patch_bias, vit_rows
from protocols.modality import RNT, Modality, N, R, T

_NAMES: Mapping[Modality, str] = {R: "RGB", N: "NI", T: "TI"}
_STEPS = ("start", "middle", "end")
_HEADS = "supervision.heads."
_LAYERS = {
    "attn.proj.": ("projection.", "768 768"),
    "norm2.": ("norm_mlp.", "768"),
    "mlp.fc1.": ("mlp.0.", "3072 768"),
    "mlp.fc2.": ("mlp.2.", "768 3072"),
}
"""Those layers of both kinds of block that have a bias."""
_BLOCK = _LAYERS | {"norm1.": ("norm_attention.", "768")}
_ROTATION = _LAYERS | {"norm1.": ("norm_query.", "768"), "attn.normy.": ("norm_keys.", "768")}
_ATTENTION = {"q_": "query", "k_": "key", "v_": "value"}


class TOPReIDRelease(ReleasedFormat):
    """Names of the released TOP-ReID checkpoints.

    A file holds the heads of both kinds of supervision, of which one was trained; the option ``supervision`` says
    which are kept. The 1000-way layers are left out. Of the two reconstruction blocks of a sensor, the first
    predicts the sensor that comes first in the order R, N, T.
    """

    title: ClassVar[str] = "the released code of TOP-ReID"
    trunk: ClassVar[str] = "vit-b-16-imagenet"
    leading: ClassVar[int] = 1
    position: ClassVar[str] = "RGB.base.pos_embed"

    @cached_property
    def rows(self) -> Sequence[Row]:
        """One row for each tensor."""
        rows: list[Row] = []
        for modality, name in _NAMES.items():
            rows += vit_rows(f"{name}.base", f"trunks.{modality}")
            rows += head_rows(f"{name}.classifier", f"{name}.bottleneck", 768, f"{_HEADS}{modality}")
            others = [other for other in RNT if other != modality]
            for number, other in enumerate(others, start=1):
                there, here = f"CRM.{name}RE.re{number}.blocks.0.", f"reconstruction.blocks.{modality}2{other}."
                rows.append(Row(f"{there}attn.qkv.weight", "2304 768", f"{here}qkv.weight"))
                rows += _renamed(there, here, _BLOCK)
        for number, step in enumerate(_STEPS):
            there, here = f"TPM.Ro_{step}.Rotation.", f"permutation.blocks.{number}."
            for name, own in _ATTENTION.items():
                rows.append(Row(f"{there}attn.{name}.weight", "768 768", f"{here}{own}.weight"))
            rows += _renamed(there, here, _ROTATION)
        rows += head_rows("classifier_TPM", "bottleneck_TPM", 2304, "head")
        rows += head_rows("classifier_ViT", "bottleneck_ViT", 2304, f"{_HEADS}all")
        return rows

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


def _renamed(released: str, own: str, layers: Mapping[str, tuple[str, str]]) -> list[Row]:
    named = ((released + there, own + here, shape) for there, (here, shape) in layers.items())
    return [row for names in named for row in layer_rows(*names)]
