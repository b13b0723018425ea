"""Heads and pooled features in the released checkpoints of MFRNet and DeMo, which share code."""

from collections.abc import Collection, Mapping

from torch import Tensor

from baselines.top_reid.card import Supervision
from mdreid_bench.config.tree import Tree
from mdreid_bench.models.released_format import Row
from mdreid_bench.models.released_rows import head_rows, layer_rows
from protocols.modality import RNT, Modality, N, R, T

POOLED = "pooled."
_HEADS = "supervision.heads."
_NAMES: Mapping[Modality, str] = {R: "rgb", N: "nir", T: "tir"}


def supervision_rows() -> list[Row]:
    """Return the rows of the heads of both kinds of supervision; a file has those of one."""
    rows = head_rows("classifier", "bottleneck", 3 * 512, f"{_HEADS}all")
    for modality in RNT:
        letter = str(modality).lower()
        rows += head_rows(f"classifier_{letter}", f"bottleneck_{letter}", 512, f"{_HEADS}{modality}")
    return rows


def supervision_of(names: Collection[str]) -> Tree:
    """Return the option ``supervision`` where the names in a file tell it."""
    kinds: dict[str, Supervision] = {"classifier.weight": "joint", "classifier_r.weight": "separate"}
    found = [kind for name, kind in kinds.items() if name in names]
    return {"supervision": found[0]} if len(found) == 1 else {}


def kept_heads(mapped: Mapping[str, Tensor], supervision: Supervision) -> dict[str, Tensor]:
    """Return all but the heads of the kind of supervision that is not used."""
    return {
        name: value
        for name, value in mapped.items()
        if not name.startswith(_HEADS) or name.startswith(f"{_HEADS}all.") == (supervision == "joint")
    }


def pooled_rows(part: str = "") -> list[Row]:
    """Return the rows of the layers of ``PooledFeature`` by sensor; with ``part``, a file may lack them all."""
    rows = []
    for modality, name in _NAMES.items():
        layers = (("0", "norm", "1024"), ("1", "linear", "512 1024"))
        for there, here, shape in layers:
            rows += layer_rows(f"{name}_reduce.{there}.", f"{POOLED}{modality}.{here}.", shape)
    return [Row(row.name, row.shape, row.own, part) for row in rows]
