"""The trunk against a forward pass written out in the test."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from mdreid_bench.config.schema import TrunkConfig
from mdreid_bench.errors import DataError, UsageError
from mdreid_bench.models.state_dict import read_state
from mdreid_bench.models.trunk.tower_weights import load_visual, visual_tower, weights_file
from mdreid_bench.models.trunk.trunk import Trunk, interpolate_positions
from protocols.modality import RNT, subsets
from protocols.names import UnknownNameError
from tests.support import SIZE, build, images

TINY = TrunkConfig(name="mdreid-tiny", pretrained=None)


def _trunk(**options: bool) -> Trunk:
    torch.manual_seed(0)
    return Trunk(visual_tower(TINY), SIZE, cameras=3, **options).eval()


def _layer_norm(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    mean, variance = x.mean(-1, keepdim=True), x.var(-1, keepdim=True, unbiased=False)
    return (x - mean) / (variance + 1e-5).sqrt() * weight + bias


def _reference(state: dict[str, Tensor], images: Tensor, camera: Tensor, blocks: int, heads: int) -> Tensor:
    """Compute the leading tokens of a two-token trunk from its state dict with elementary operations."""
    s = {name: value.double() for name, value in state.items()}
    batch, width = len(images), s["class_token"].shape[0]
    patches = F.unfold(images.double(), 16, stride=16).transpose(1, 2) @ s["patch.weight"].reshape(width, -1).T
    first = (s["class_token"] + s["camera"][camera])[:, None]
    shared = s.get("shared_token", s["class_token"]).expand(batch, 1, width)
    x = torch.cat([first, shared, patches], 1) + s["position"]
    x = _layer_norm(x, s["ln_pre.weight"], s["ln_pre.bias"])
    for b in range(blocks):
        p = f"blocks.{b}."
        y = _layer_norm(x, s[p + "ln_1.weight"], s[p + "ln_1.bias"])
        q, k, v = (y @ s[p + "attn.in_proj_weight"].T + s[p + "attn.in_proj_bias"]).chunk(3, -1)
        q, k, v = (t.reshape(batch, -1, heads, width // heads).transpose(1, 2) for t in (q, k, v))
        weights = ((q @ k.transpose(-1, -2)) / (width // heads) ** 0.5).softmax(-1)
        mixed = (weights @ v).transpose(1, 2).reshape(batch, -1, width)
        x = x + mixed @ s[p + "attn.out_proj.weight"].T + s[p + "attn.out_proj.bias"]
        y = _layer_norm(x, s[p + "ln_2.weight"], s[p + "ln_2.bias"])
        y = y @ s[p + "mlp.c_fc.weight"].T + s[p + "mlp.c_fc.bias"]
        y = y * torch.sigmoid(1.702 * y)
        x = x + y @ s[p + "mlp.c_proj.weight"].T + s[p + "mlp.c_proj.bias"]
    x = _layer_norm(x[:, :2], s["ln_post.weight"], s["ln_post.bias"])
    return x @ s["projection"]


@pytest.mark.parametrize("tied", [True, False])
def test_forward_equals_the_reference(tied: bool) -> None:
    trunk = _trunk(shared_token=True, tie_shared_token=tied)
    images = torch.randn(3, 3, *SIZE, generator=torch.Generator().manual_seed(1))
    camera = torch.tensor([0, 2, 1])
    with torch.no_grad():
        found = trunk(images, camera)
    wanted = _reference(trunk.state_dict(), images, camera, blocks=6, heads=4)
    assert found.shape == (3, 2, 128)
    assert torch.allclose(found.double(), wanted, atol=1e-5)


def test_positions_by_hand() -> None:
    table = torch.tensor([[9.0], [0.0], [1.0], [2.0], [3.0]])
    wider = interpolate_positions(table, (2, 4), extra_tokens=2)
    # bilinear, half-pixel centres: 0, 0.25, 0.75, 1 along a row
    assert wider.flatten().tolist() == [9, 9, 0, 0.25, 0.75, 1, 2, 2.25, 2.75, 3]
    assert torch.equal(interpolate_positions(table, (2, 2)), table)


def test_image_size_must_fit_the_patches() -> None:
    with pytest.raises(UsageError, match="multiple"):
        build("mdreid", {"image": {"size": [40, 48]}})


def test_unknown_trunk_and_tag_are_named() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'ViT-B-16-quickgelu'"):
        visual_tower(TrunkConfig(name="ViT-B-16-quickgel", pretrained=None))
    with pytest.raises(UnknownNameError, match="openai"):
        weights_file(TrunkConfig(name="ViT-B-16-quickgelu", pretrained="opnai"))


def test_trunk_without_class_token_is_refused() -> None:
    with pytest.raises(DataError, match="not a vision transformer"):
        visual_tower(TrunkConfig(name="RN50", pretrained=None))


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".bin"])
@pytest.mark.parametrize("prefix", ["", "visual."])
def test_local_weights_are_loaded_strictly(tmp_path: Path, suffix: str, prefix: str) -> None:
    source = visual_tower(TINY)
    state = {prefix + name: value for name, value in source.state_dict().items()}
    path = tmp_path / f"weights{suffix}"
    save_file(state, path) if suffix == ".safetensors" else torch.save(state, path)
    target = visual_tower(TrunkConfig(name="mdreid-tiny", pretrained=str(path)))
    assert all(torch.equal(value, target.state_dict()[name]) for name, value in source.state_dict().items())

    del state[prefix + "proj"]
    state[prefix + "more"] = torch.zeros(1)
    state[prefix + "class_embedding"] = torch.zeros(2)
    torch.save(state, tmp_path / "broken.pt")
    with pytest.raises(DataError, match=r"missing: proj; unexpected: more; misshapen: class_embedding"):
        load_visual(target, tmp_path / "broken.pt", "mdreid-tiny")


class _Bomb:
    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return (open, ("bomb-went-off", "w"))


def test_pickled_code_is_refused_and_does_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"a": _Bomb()}, tmp_path / "bomb.pt")
    with pytest.raises(DataError, match="refused"):
        read_state(tmp_path / "bomb.pt")
    assert not (tmp_path / "bomb-went-off").exists()


@pytest.mark.parametrize("content", [b"", b"not weights", b"PK\x03\x04 half an archive"])
def test_damaged_files_are_refused(tmp_path: Path, content: bytes) -> None:
    for name in ("w.pt", "w.safetensors"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=name):
            read_state(tmp_path / name)


@pytest.mark.parametrize("stride", [17, 64])
def test_a_stride_leaves_no_pixels_out(stride: int) -> None:
    with pytest.raises(UsageError, match=f"trunk.stride {stride} and image.size .* do not go with patches of"):
        build("mdreid", {"trunk": {"stride": stride}})


@pytest.mark.parametrize(("method", "rows"), [("top-reid", 3 * 5 + 1), ("mdreid", 3 * 5 + 2)])
def test_patches_may_overlap(method: str, rows: int) -> None:
    """32x48 with patches of 16, 8 pixels apart: 3 x 5."""
    built = build(method, {"trunk": {"stride": 8}}).eval()
    tables = [value for name, value in built.named_parameters() if name.endswith(".position")]
    assert {len(table) for table in tables} == {rows}
    assert built.embed_all(images(2), torch.tensor([0, 1]), subsets(RNT))[subsets(RNT)[0]].isfinite().all()


def test_editor_counts_pixels_of_patches_side_by_side() -> None:
    with pytest.raises(UsageError, match=r"editor counts .* leave trunk\.stride out"):
        build("editor", {"trunk": {"stride": 8}})
