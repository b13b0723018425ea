"""Convolutional trunks: torchvision's network by its own weights, the small one, and what is refused."""

from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision

from mdreid_bench.config.schema import TrunkConfig
from mdreid_bench.errors import DataError, UsageError
from mdreid_bench.models.trunk import resnet_weights
from mdreid_bench.models.trunk.resnet import SHAPES, ForkedResNet, ResNet
from mdreid_bench.models.trunk.resnet_weights import RESNETS
from mdreid_bench.models.trunk.tower_weights import tower_bytes, visual_tower
from protocols.modality import N, R
from protocols.names import UnknownNameError

TINY = "mdreid-resnet-tiny"


def built(name: str = TINY, pretrained: str | Path | None = None, **settings: int) -> ResNet:
    torch.manual_seed(0)
    config = TrunkConfig(name=name, pretrained=None if pretrained is None else str(pretrained), **settings)
    return ResNet.build(config).eval()


def test_it_computes_what_torchvision_computes(tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs = torchvision.models.resnet50().eval()
    torch.save(theirs.state_dict(), tmp_path / "r.pth")
    ours = ResNet.build(TrunkConfig(name="resnet50", pretrained=str(tmp_path / "r.pth")), last_stride=2).eval()
    found: dict[str, torch.Tensor] = {}
    theirs.layer4.register_forward_hook(lambda module, given, output: found.update(map=output))
    images = torch.randn(1, 3, 64, 32)
    with torch.no_grad():
        theirs(images)
        torch.testing.assert_close(ours(images), found["map"], rtol=0, atol=1e-6)
        first: Any = ours.get_submodule("layer4.0")
        first.conv2.stride = first.downsample[0].stride = (1, 1)
        assert built("resnet50", tmp_path / "r.pth")(images).shape == ours(images).shape == (1, 2048, 4, 2)


def test_the_small_one_keeps_a_map_of_small_images() -> None:
    assert built()(torch.randn(2, 3, 64, 32)).shape == (2, 256, 8, 4)
    assert built()(torch.randn(2, 3, 64, 32).half()).dtype == torch.float32


@pytest.mark.parametrize("name", SHAPES)
def test_the_bytes_of_a_trunk_are_about_those_that_are_named(name: str) -> None:
    with torch.device("meta"):
        network = ResNet(SHAPES[name])
    size = sum(4 * p.numel() for p in network.parameters())
    assert size <= tower_bytes(TrunkConfig(name=name, pretrained=None)) == RESNETS[name] <= 1.1 * size


@pytest.mark.parametrize(("border", "channels"), [("stem", 32), ("layer1", 32)])
def test_a_forked_network_computes_the_same_until_its_stems_differ(border: str, channels: int) -> None:
    whole = built()
    forked = ForkedResNet(built(), R | N, border).eval()  # type: ignore[arg-type]
    images = torch.randn(2, 3, 64, 32)
    assert torch.equal(forked(images, R), whole(images))
    with torch.no_grad():
        forked.stems["N"].conv1.weight.zero_()  # type: ignore[union-attr, operator]
    assert torch.equal(forked(images, R), whole(images))
    assert not torch.equal(forked(images, N), whole(images))
    assert forked.low_width == forked.low(images, R).shape[1] == channels
    assert ("stems.N.layer1.0.conv1.weight" in forked.state_dict()) == (border == "layer1")


def test_what_does_not_fit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save({"layer1.0.conv1.weight": torch.zeros(3)}, tmp_path / "part.pth")
    torch.save({"blocks.0.weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(DataError, match=r"do not fit the trunk mdreid-resnet-tiny \(missing: bn1.bias"):
        built(pretrained=tmp_path / "part.pth")
    with pytest.raises(DataError, match="their tensors are called"):
        built(pretrained=tmp_path / "other.pth")
    with pytest.raises(UnknownNameError, match="weights tag or file for resnet50 'openai'"):
        built("resnet50", "openai")
    with pytest.raises(UnknownNameError, match="convolutional trunk 'ViT-B-16'"):
        built("ViT-B-16")
    with pytest.raises(UsageError, match=r"leave trunk\.stride out"):
        built(stride=8)
    with pytest.raises(DataError, match="resnet50 is not a vision transformer"):
        visual_tower(TrunkConfig(name="resnet50", pretrained=None))
    with pytest.raises(UsageError, match="cannot compute its activations again"):
        built().set_checkpointing(True)
    monkeypatch.setattr(resnet_weights, "answers", lambda url: False)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(DataError, match=r"not cached and could not be downloaded .* pass a local copy of https"):
        built("resnet50", "imagenet1k_v1")


def test_a_cached_file_of_torchvision_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    file = tmp_path / "checkpoints" / "resnet50-0676ba61.pth"
    file.touch()
    assert resnet_weights.fetched(TrunkConfig(name="resnet50", pretrained="IMAGENET1K_V1")) == file
