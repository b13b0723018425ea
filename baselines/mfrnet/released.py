"""The released checkpoints of MFRNet."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

from torch import Tensor

from baselines.mfrnet.generation import pair_name
from baselines.released_heads import POOLED, kept_heads, pooled_rows, supervision_of, supervision_rows
from mdreid_bench.config.tree import Tree
from mdreid_bench.models.released_format import ReleasedFormat, Row
from mdreid_bench.models.released_rows import CLIP_POSITION, CLIP_TOWER, clip_rows
from protocols.modality import RNT

_GENERATORS = {"gfmoe": "first", "gfmoe_2": "second"}
_LAYERS = {"weight": "weight", "bias": "shift"}
_ADAPTERS = ".smoe."


class MFRNetRelease(ReleasedFormat):
    """Names of the released MFRNet checkpoints: all experts of a mixture share one set of weights.

    Left out are the adapters of all blocks but the last, the MLP that those of the last replace, and the numbers of
    experts. A file holds the heads of one kind of supervision; the layers of pooled features are those of RGBNT100.
    """

    title: ClassVar[str] = "the released code of MFRNet"
    trunk: ClassVar[str] = "ViT-B-16-quickgelu"
    leading: ClassVar[int] = 1
    position: ClassVar[str] = CLIP_POSITION
    published_under: ClassVar[Mapping[str, Any]] = {"capacity": 1.0}

    @cached_property
    def rows(self) -> Sequence[Row]:
        """One row for each tensor."""
        rows = clip_rows()
        for name, own in _GENERATORS.items():
            rows += _experts(f"{CLIP_TOWER}{name}.", f"generation.generators.{own}.", "conv_1", "conv_2", 1024, 3)
        blocks = f"{CLIP_TOWER}transformer.resblocks.{{n}}.smoe."
        rows += _experts(blocks, f"trunk.blocks.{{n}}{_ADAPTERS}", "conv_A", "conv_B", 512, 6)
        for source, target in ((a, b) for a in RNT for b in RNT if a != b):
            there, here = (
                f"{CLIP_TOWER}glw_{source}{target}.0.lw.",
                f"generation.weights.{pair_name(source, target)}.",
            )
            rows += [Row(f"{there}weight", "1 768", f"{here}weight"), Row(f"{there}bias", "1", f"{here}shift")]
        return [*rows, *pooled_rows(part="reduce"), *supervision_rows()]

    def options(self, state: Mapping[str, Tensor]) -> Tree:
        """Return how the experts are shared, and what a file says of features and heads."""
        fixed = {"independent_experts": False, "generators": 3, "adapters": 6}
        return fixed | {"global_local": "rgb_reduce.1.weight" in state} | supervision_of(state)

    def converted(self, state: Mapping[str, Tensor], options: Mapping[str, Any]) -> dict[str, Tensor]:
        """Return the parameters by their names here."""
        last = f"trunk.blocks.{self.layout(state).blocks - 1}"
        kept = {}
        for name, value in kept_heads(self.mapped(state), options["supervision"]).items():
            unused = name.startswith(POOLED) and not options["global_local"]
            elsewhere = _ADAPTERS in name and not name.startswith(last + _ADAPTERS)
            if not (unused or elsewhere or name.startswith(f"{last}.mlp.")):
                kept[name.replace(last + _ADAPTERS, "trunk.adapters.")] = value
        return kept


def _experts(released: str, own: str, first: str, second: str, hidden: int, count: int) -> list[Row]:
    """Return the rows of one mixture of experts, whose names are prefixes that end with a dot."""
    sizes = {f"experts.{first}": ("first", hidden, 768), f"experts.{second}": ("second", 768, hidden)}
    rows = [Row(f"{released}_num_global_experts", "", None)]
    for name, (here, out, width) in sizes.items():
        rows.append(Row(f"{released}{name}.weight", f"{out} {width} 1", f"{own}{here}.weight"))
        rows.append(Row(f"{released}{name}.bias", str(out), f"{own}{here}.shift"))
    gate = f"{released}gates.0."
    rows.append(Row(f"{gate}temperature", "1", f"{own}gate.temperature"))
    rows.append(Row(f"{gate}sim_matrix", f"256 {count}", f"{own}gate.directions"))
    for part, shape in {"weight": "256 768", "bias": "256"}.items():
        rows.append(Row(f"{gate}cosine_projector.{part}", shape, f"{own}gate.projection.{_LAYERS[part]}"))
    return rows
