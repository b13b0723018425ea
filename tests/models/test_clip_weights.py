"""Weights of CLIP as they are handed around: OpenAI's archive and state dict, and the activation they need."""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from mdreid_bench.config.schema import TrunkConfig
from mdreid_bench.errors import DataError, UsageError
from mdreid_bench.models.state_dict import read_state
from mdreid_bench.models.trunk.tower_weights import note_on, visual_tower, weights_file

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


@pytest.mark.parametrize(("trained", "wrong"), [(QUICK, PLAIN), (PLAIN, QUICK)])
@pytest.mark.parametrize("described", ["open_clip_config.json", "config.json", ""])
def test_the_activation_is_that_of_the_description_or_is_said_to_be_assumed(
    tmp_path: Path, trained: str, wrong: str, described: str
) -> None:
    """Such weights load under either name, and the outputs differ."""
    torch.save({"state_dict": {f"module.visual.{n}": v for n, v in tower().state_dict().items()}}, tmp_path / "w.pt")
    quick = trained == QUICK
    text = {
        "open_clip_config.json": {"model_cfg": {"quick_gelu": True} if quick else {"embed_dim": 512}},
        "config.json": {"vision_config": {"hidden_act": "quick_gelu" if quick else "gelu"}},
    }
    if described:
        (tmp_path / described).write_text(json.dumps(text[described]), encoding="utf-8")
        with pytest.raises(UsageError, match=rf"GELU, which the trunk {wrong} has not; .* trunk\.name={trained}\.$"):
            tower(wrong, pretrained=str(tmp_path / "w.pt"))
    assert tower(trained, pretrained=str(tmp_path / "w.pt")).state_dict().keys() == tower().state_dict().keys()
    note = note_on(TrunkConfig(name=trained, pretrained=str(tmp_path / "w.pt"), layers=1))
    if described:
        assert note is None
    else:
        assert note is not None
        assert f"{'QuickGELU' if quick else 'GELU'}, that of the trunk {trained}, is assumed" in note
        assert f"--set trunk.name={wrong})" in note


def test_nothing_is_said_of_weights_that_tell_their_activation(openai: tuple[Path, Path, dict[str, Tensor]]) -> None:
    for trunk in (TrunkConfig(name=QUICK, pretrained=str(openai[1])), TrunkConfig(name=QUICK, pretrained=None)):
        assert note_on(trunk) is None
    assert note_on(TrunkConfig(name="mdreid-tiny", pretrained="synthetic")) is None


def test_a_released_checkpoint_is_no_trunk_but_something_to_start_from(tmp_path: Path) -> None:
    torch.save(
        {f"BACKBONE.base.{n}": v for n, v in tower().state_dict().items()} | {"s.w": torch.ones(1)}, tmp_path / "w"
    )
    with pytest.raises(DataError, match=r"called BACKBONE\.base.* are started from with --init\.$"):
        tower(pretrained=str(tmp_path / "w"))
