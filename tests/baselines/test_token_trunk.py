"""All tokens and attention rollout of the trunk, against a forward pass and a rollout written out."""

from functools import partial
from typing import Any

import open_clip
import pytest
import timm
import torch
from open_clip.transformer import LayerNorm, VisionTransformer
from torch import Tensor, nn

from mdreid_bench.config.schema import TrunkConfig
from mdreid_bench.errors import UsageError
from mdreid_bench.models.trunk.imagenet_weights import is_imagenet, to_open_clip
from mdreid_bench.models.trunk.token_trunk import TokenTrunk
from mdreid_bench.models.trunk.tower_weights import visual_tower
from tests.baselines.literal import State, layer_norm, linear, part, random
from tests.support import SIZE, build, small_config

CAMERA = torch.tensor([0, 2, 1])
HEADS, BLOCKS = 4, 6


def trunk(drop_path: float = 0.1) -> TokenTrunk:
    torch.manual_seed(0)
    visual = visual_tower(TrunkConfig(name="mdreid-tiny", pretrained=None))
    return TokenTrunk(visual, SIZE, cameras=3, drop_path=drop_path)


def block(x: Tensor, s: State) -> tuple[Tensor, Tensor]:
    """Return tokens after one block and its attention maps (B, heads, L, L)."""
    y = layer_norm(x, s, "ln_1")
    q, k, v = (y @ s["attn.in_proj_weight"].T + s["attn.in_proj_bias"]).chunk(3, -1)
    q, k, v = (t.unflatten(2, (HEADS, -1)).transpose(1, 2) for t in (q, k, v))  # type: ignore[no-untyped-call]
    maps = ((q @ k.transpose(-1, -2)) / q.shape[-1] ** 0.5).softmax(-1)
    x = x + linear((maps @ v).transpose(1, 2).flatten(2), s, "attn.out_proj")
    y = linear(layer_norm(x, s, "ln_2"), s, "mlp.c_fc")
    return x + linear(y * torch.sigmoid(1.702 * y), s, "mlp.c_proj"), maps


def test_tokens_and_rollout_equal_the_reference() -> None:
    model, images = trunk().eval().double(), random(3, 3, *SIZE)
    s = part(model)
    patches = nn.functional.unfold(images, 16, stride=16).transpose(1, 2) @ s["patch.weight"].flatten(1).T
    x = torch.cat([s["class_token"].expand(3, 1, -1), patches], dim=1) + s["position"]
    x = layer_norm(x + 3.0 * s["camera"][CAMERA][:, None], s, "ln_pre")
    rollout = torch.eye(1 + patches.shape[1], dtype=torch.float64).expand(3, HEADS, -1, -1)
    for number in range(BLOCKS):
        x, maps = block(x, part(model, f"blocks.{number}."))
        rollout = maps @ rollout
    with torch.no_grad():
        tokens, found = model.attended(images, CAMERA)
        torch.testing.assert_close(tokens, layer_norm(x, s, "ln_post"), rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(model(images, CAMERA), tokens, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(found.double(), rollout[:, :, 0, 1:], rtol=0, atol=1e-6)


def test_stochastic_depth_grows_with_depth_and_keeps_the_mean() -> None:
    model = trunk(drop_path=0.5)
    assert model.drop_rates == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5])
    branch = torch.ones(4000, 1, 1)
    dropped = model._drop(branch, 0.25)
    assert torch.unique(dropped).tolist() == pytest.approx([0, 4 / 3])
    assert dropped.mean().item() == pytest.approx(1, abs=0.05)
    assert model._drop(branch, 0.0) is branch
    assert model.eval()._drop(branch, 0.25) is branch


def test_the_trunk_has_no_parameter_it_does_not_use() -> None:
    model = trunk(drop_path=0)
    model(random(3, 3, *SIZE).float(), CAMERA).sum().backward()
    assert all(p.grad is not None for p in model.parameters())


def test_blocks_that_cannot_be_watched_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Opaque(nn.Module):
        attn = nn.Identity()

    visual: Any = visual_tower(TrunkConfig(name="mdreid-tiny", pretrained=None))
    visual.transformer.resblocks[3] = Opaque()
    monkeypatch.setattr("mdreid_bench.models.trunk.token_trunk.tower_for", lambda _: visual)
    with pytest.raises(UsageError, match="editor needs a trunk of plain transformer blocks, which mdreid-tiny"):
        TokenTrunk.for_tokens(small_config("editor"), 3, drop_path=0.1)


@pytest.mark.parametrize("name", ["top-reid", "editor"])
def test_image_size_must_fit_the_patches(name: str) -> None:
    with pytest.raises(UsageError, match="multiple"):
        build(name, {"image": {"size": [40, 48]}})


def small_imagenet_trunk() -> tuple[nn.Module, nn.Module]:
    """Return timm's model and open_clip's with the settings of ``vit-b-16-imagenet``, both narrow and shallow."""
    torch.manual_seed(1)
    theirs = timm.models.VisionTransformer(img_size=48, embed_dim=24, depth=2, num_heads=2, num_classes=5)
    for parameter in theirs.parameters():
        nn.init.normal_(parameter, std=0.3)
    visual_tower(TrunkConfig(name="mdreid-tiny", pretrained=None))  # registers the trunks of the package
    vision = open_clip.get_model_config("vit-b-16-imagenet")["vision_cfg"]
    ours = VisionTransformer(
        image_size=48,
        patch_size=vision["patch_size"],
        width=24,
        layers=2,
        heads=2,
        mlp_ratio=4.0,
        no_ln_pre=vision["no_ln_pre"],
        norm_layer=partial(LayerNorm, **vision["norm_kwargs"]),
        output_dim=24,
    )
    return theirs.double().eval(), ours.double()


def test_an_imagenet_model_gives_timms_tokens() -> None:
    theirs, ours = small_imagenet_trunk()
    state = theirs.state_dict()
    assert is_imagenet(state)
    assert not is_imagenet(ours.state_dict())
    ours.load_state_dict(to_open_clip(state))
    model = TokenTrunk(ours, (48, 48), cameras=1).double().eval()
    nn.init.zeros_(model.camera)
    images = random(2, 3, 48, 48)
    with torch.no_grad():
        wanted = theirs.forward_features(images)  # type: ignore[operator]
        torch.testing.assert_close(model(images, torch.tensor([0, 0])), wanted, rtol=1e-9, atol=1e-9)


def test_unknown_entries_of_an_imagenet_model_are_not_lost() -> None:
    theirs, ours = small_imagenet_trunk()
    with pytest.raises(RuntimeError, match="surprise"):
        ours.load_state_dict(to_open_clip(theirs.state_dict() | {"surprise": torch.zeros(1)}))
