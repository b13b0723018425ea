"""The checkpoints that DeMo's code writes; its authors published none."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor

from baselines.released_heads import kept_heads, pooled_rows, supervision_of, supervision_rows
from mdreid_bench.config.tree import Tree
from mdreid_bench.models.released_format import COUNTER, ReleasedFormat, Row
from mdreid_bench.models.released_rows import CLIP_POSITION, clip_rows, head_rows, layer_rows
from protocols.modality import RNT, subsets

_SUBSETS = subsets(RNT)
_FUSION = "generalFusion."
_GATE = f"{_FUSION}moe.gating_network.gate."
_FIRST_EXPERT = f"{_FUSION}moe.experts.0.expertHead.0.mlp.0.weight"
_WIDTH = 512
_EXPERTS = "experts."
_LAYERS = {"weight": "mixture.weight", "bias": "mixture.bias"}
_NORM = ("weight", "bias", "running_mean", "running_var")


class DeMoRelease(ReleasedFormat):
    """Names of DeMo's checkpoints; the experts of a head and a subset, one by one there, are one tensor here."""

    title: ClassVar[str] = "the released code of DeMo"
    trunk: ClassVar[str] = "ViT-B-16-quickgelu"
    leading: ClassVar[int] = 1
    position: ClassVar[str] = CLIP_POSITION

    @cached_property
    def rows(self) -> Sequence[Row]:
        """One row for each tensor; E is the size of an expert."""
        rows = [*clip_rows(), *pooled_rows()]
        for subset in _SUBSETS:
            there, here = f"{_FUSION}{str(subset).lower()}", f"decoupler.readers.{subset}."
            rows.append(Row(f"{there}_token", f"1 1 {_WIDTH}", f"{here}query"))
            rows += layer_rows(f"{there}.in_proj_", f"{here}attention.in_proj_", f"{3 * _WIDTH} {_WIDTH}")
            rows += layer_rows(f"{there}.out_proj.", f"{here}attention.out_proj.", f"{_WIDTH} {_WIDTH}")
        for number in range(len(_SUBSETS)):
            there, here = f"{_FUSION}moe.experts.{{h}}.expertHead.{number}.mlp.", f"{_EXPERTS}{{h}}.{number}."
            rows += layer_rows(f"{there}0.", f"{here}linear.", "E E")
            rows += _norm_rows(f"{there}2.", f"{here}norm.", "E")
        rows += layer_rows(f"{_GATE}linear_re.0.", "mixture.gate.linear.", f"{_WIDTH} {len(_SUBSETS) * _WIDTH}")
        rows += _norm_rows(f"{_GATE}linear_re.2.", "mixture.gate.norm.", str(_WIDTH))
        for there, here in (("q_", "query"), ("k_", "key")):
            rows.append(Row(f"{_GATE}{there}.weight", f"{_WIDTH} {_WIDTH}", f"mixture.gate.{here}.weight"))
        rows += head_rows("classifier_moe", "bottleneck_moe", len(_SUBSETS) * _WIDTH, "head")
        return [*rows, *supervision_rows()]

    def options(self, state: Mapping[str, Tensor]) -> Tree:
        """Return the number of heads, and the kind of supervision."""
        return {"heads": _WIDTH // len(state[_FIRST_EXPERT])} | supervision_of(state)

    def converted(self, state: Mapping[str, Tensor], options: Mapping[str, Any]) -> dict[str, Tensor]:
        """Return the parameters by their names here."""
        mapped = kept_heads(self.mapped(state), options["supervision"])
        kept = {name: value for name, value in mapped.items() if not name.startswith(_EXPERTS)}
        heads = range(1 + max(int(name.split(".")[1]) for name in mapped.keys() - kept.keys()))

        def experts(name: str) -> Tensor:
            """Return (H, S, ...)."""
            found = [[mapped[f"{_EXPERTS}{head}.{s}.{name}"] for s in range(len(_SUBSETS))] for head in heads]
            return torch.stack([torch.stack(row) for row in found])

        kept |= {own: experts(f"linear.{name}") for name, own in _LAYERS.items()}
        kept |= {f"mixture.norm.{name}": experts(f"norm.{name}").flatten() for name in _NORM}
        return kept | {f"mixture.norm.{COUNTER}": experts(f"norm.{COUNTER}").amax()}


def _norm_rows(released: str, own: str, width: str) -> list[Row]:
    rows = [Row(released + name, width, own + name) for name in _NORM]
    return [*rows, Row(released + COUNTER, "", own + COUNTER, COUNTER)]
