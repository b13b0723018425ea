"""Weights of CLIP as they are handed around: OpenAI's archive and state dict, and the activation they need."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from mdreid_bench.config.schema import TrunkConfig
from mdreid_bench.errors import DataError, UsageError
from mdreid_bench.models.state_dict import read_state
from mdreid_bench.models.trunk.tower_weights import visual_tower, weights_file

QUICK, PLAIN = "ViT-B-16-quickgelu", "ViT-B-16"
MARKS = ("input_resolution", "context_length", "vocab_size")


class OpenAI(nn.Module):
    """A CLIP model with the entries of OpenAI's checkpoints, in half precision: tower, text tower, three numbers."""

    def __init__(self, visual: nn.Module) -> None:
        super().__init__()
        self.visual = visual.half()
        self.transformer = nn.Linear(2, 2)
        self.positional_embedding = nn.Parameter(torch.zeros(77, 512))
        self.logit_scale = nn.Parameter(torch.ones(()))
        for mark in MARKS:
            self.register_buffer(mark, torch.tensor(7))

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.transformer(x)
        return result


def tower(name: str = QUICK, layers: int | None = 1, pretrained: str | None = None) -> nn.Module:
    return visual_tower(TrunkConfig(name=name, pretrained=pretrained, layers=layers))


class Flat(nn.Module):
    """The parameters of a module under their names, without its code, which need not be scriptable."""

    def __init__(self, source: nn.Module) -> None:
        super().__init__()
        for name, value in source.named_parameters(recurse=False):
            self.register_parameter(name, value)
        for name, child in source.named_children():
            self.add_module(name, Flat(child))

    def forward(self, x: Tensor) -> Tensor:
        return x


@pytest.fixture(scope="module")
def openai(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, dict[str, Tensor]]:
    """A TorchScript archive and a state dict of the same model, and its tower."""
    folder = tmp_path_factory.mktemp("openai")
    model = OpenAI(Flat(tower(layers=None)))
    torch.jit.save(torch.jit.script(model), str(folder / "archive.pt"))
    torch.save(model.state_dict(), folder / "state.pt")
    return folder / "archive.pt", folder / "state.pt", dict(model.visual.state_dict())


@pytest.mark.parametrize("kind", [0, 1], ids=["archive", "state dict"])
def test_openai_weights_become_the_trunk_in_single_precision(
    openai: tuple[Path, Path, dict[str, Tensor]], kind: int
) -> None:
    path = (openai[0], openai[1])[kind]
    assert torch.equal(read_state(path, archives=True)["logit_scale"], torch.ones(()))
    built = tower(layers=None, pretrained=str(path)).state_dict()
    assert built.keys() == openai[2].keys()
    assert all(built[name].dtype == torch.float32 for name in built)
    assert all(torch.equal(built[name], value.float()) for name, value in openai[2].items())


@pytest.mark.parametrize("kind", [0, 1], ids=["archive", "state dict"])
def test_openai_weights_need_quickgelu(openai: tuple[Path, Path, dict[str, Tensor]], kind: int) -> None:
    with pytest.raises(UsageError, match=r"--set trunk\.name=ViT-B-16-quickgelu"):
        tower(PLAIN, None, str((openai[0], openai[1])[kind]))


def test_tags_need_the_activation_they_were_trained_with() -> None:
    with pytest.raises(UsageError, match="QuickGELU, which the trunk ViT-B-16 has not"):
        weights_file(TrunkConfig(name=PLAIN, pretrained="openai"))


def test_archives_are_opened_for_trunks_alone(openai: tuple[Path, Path, dict[str, Tensor]]) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_state(openai[0])


def test_a_trunk_can_be_cut_short(openai: tuple[Path, Path, dict[str, Tensor]]) -> None:
    short = tower(layers=2, pretrained=str(openai[1])).state_dict()
    assert {name.split(".")[2] for name in short if "resblocks" in name} == {"0", "1"}
    assert all(torch.equal(value, openai[2][name].float()) for name, value in short.items())
    with pytest.raises(
        UsageError, match=r"trunk\.layers=13 cannot be had from ViT-B-16-quickgelu, which has 12 blocks"
    ):
        tower(layers=13)
