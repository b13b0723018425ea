"""Towers in other naming and of other resolutions become the same trunk."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mdreid_bench.config.schema import TrunkConfig
from mdreid_bench.errors import DataError
from mdreid_bench.models.trunk.tower_weights import visual_tower
from mdreid_bench.models.trunk.trunk import interpolate_positions

CLIP, IMAGENET = "ViT-B-16", "vit-b-16-imagenet"
BLOCK_OF_CLIP = {
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
    "self_attn.out_proj": "attn.out_proj",
}
BLOCK_OF_VIT = {
    "layernorm_before": "ln_1",
    "layernorm_after": "ln_2",
    "intermediate.dense": "mlp.c_fc",
    "output.dense": "mlp.c_proj",
    "attention.output.dense": "attn.out_proj",
}


def tower(name: str, path: Path | None = None) -> nn.Module:
    torch.manual_seed(0)
    return visual_tower(TrunkConfig(name=name, pretrained=None if path is None else str(path), layers=1))


def block(state: dict[str, Tensor], there: str, names: dict[str, str], qkv: str) -> dict[str, Tensor]:
    here, parts = "transformer.resblocks.0.", ("weight", "bias")
    found = {f"{there}.{old}.{p}": state[f"{here}{new}.{p}"] for old, new in names.items() for p in parts}
    for p in parts:
        three = state[f"{here}attn.in_proj_{p}"].chunk(3)
        found |= {f"{there}.{qkv.format(k)}.{p}": v for k, v in zip(("q", "k", "v"), three, strict=True)}
    return found


def hub_clip(state: dict[str, Tensor]) -> dict[str, Tensor]:
    norms = {"pre_layrnorm": "ln_pre", "post_layernorm": "ln_post"}
    return {
        "logit_scale": torch.ones(()),
        "text_model.embeddings.token_embedding.weight": torch.zeros(3, 2),
        "text_projection.weight": torch.zeros(2, 2),
        "vision_model.embeddings.position_ids": torch.arange(197)[None],
        "vision_model.embeddings.class_embedding": state["class_embedding"],
        "vision_model.embeddings.position_embedding.weight": state["positional_embedding"],
        "vision_model.embeddings.patch_embedding.weight": state["conv1.weight"],
        "visual_projection.weight": state["proj"].T.contiguous(),
        **{f"vision_model.{a}.{p}": state[f"{b}.{p}"] for a, b in norms.items() for p in ("weight", "bias")},
        **block(state, "vision_model.encoder.layers.0", BLOCK_OF_CLIP, "self_attn.{}_proj"),
    }


def test_clip_in_the_naming_of_the_hub(tmp_path: Path) -> None:
    wanted = tower(CLIP).state_dict()
    torch.save(hub_clip(wanted), tmp_path / "w.bin")
    torch.manual_seed(9)
    found = tower(CLIP, tmp_path / "w.bin").state_dict()
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)
    torch.save({n: v for n, v in hub_clip(wanted).items() if "k_proj.bias" not in n}, tmp_path / "w.bin")
    with pytest.raises(DataError, match=r"missing: transformer\.resblocks\.0\.attn\.in_proj_bias"):
        tower(CLIP, tmp_path / "w.bin")


@pytest.mark.parametrize("prefix", ["vit.", "deit.", ""])
@pytest.mark.parametrize("distilled", [False, True])
def test_vit_in_the_naming_of_the_hub(tmp_path: Path, prefix: str, distilled: bool) -> None:
    source = tower(IMAGENET).state_dict()
    table, bias = source["positional_embedding"], torch.linspace(-1, 1, 768)
    extra = {"embeddings.distillation_token": torch.zeros(1, 1, 768)} if distilled else {}
    rows = [table[:1], torch.full((1, 768), 9.0), table[1:]] if distilled else [table]
    vit = {
        "embeddings.cls_token": source["class_embedding"][None, None],
        "embeddings.position_embeddings": torch.cat(rows)[None],
        "embeddings.patch_embeddings.projection.weight": source["conv1.weight"],
        "embeddings.patch_embeddings.projection.bias": bias,
        "layernorm.weight": source["ln_post.weight"],
        "layernorm.bias": source["ln_post.bias"],
        "pooler.dense.weight": torch.zeros(768, 768),
        **extra,
    }
    words = {"q": "query", "k": "key", "v": "value"}
    for name, value in block(source, "encoder.layer.0", BLOCK_OF_VIT, "attention.attention.{}").items():
        head, last, part = name.rpartition(".")[0].rpartition(".")[0], *name.split(".")[-2:]
        vit[f"{head}.{words.get(last, last)}.{part}"] = value
    torch.save(
        {f"{prefix}{n}": v for n, v in vit.items()} | {"classifier.weight": torch.zeros(3, 768)}, tmp_path / "w"
    )
    found = tower(IMAGENET, tmp_path / "w").state_dict()
    shifted = table.clone()
    shifted[1:] += bias
    wanted = source | {"positional_embedding": shifted, "proj": torch.eye(768)}
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_a_table_of_another_resolution_is_that_of_the_trunk(tmp_path: Path) -> None:
    """384 px: 24 x 24 patches, interpolated once, from the table that was trained."""
    state = tower(CLIP).state_dict()
    wide = torch.randn(577, 768)
    torch.save(state | {"positional_embedding": wide}, tmp_path / "w.pt")
    visual: Any = tower(CLIP, tmp_path / "w.pt")
    assert torch.equal(visual.positional_embedding, wide)
    assert interpolate_positions(visual.positional_embedding.detach(), (16, 8)).shape == (129, 768)
    torch.save(state | {"positional_embedding": wide[:570]}, tmp_path / "w.pt")
    with pytest.raises(DataError, match="misshapen: positional_embedding is 570x768"):
        tower(CLIP, tmp_path / "w.pt")
