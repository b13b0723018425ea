"""Checkpoints as people have them: wrapped, under other keys, without what evaluation throws away."""

import re
from collections import OrderedDict
from collections.abc import Callable
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from mdreid_bench.errors import DataError
from mdreid_bench.models.method import Method
from mdreid_bench.models.state_dict import read_state
from mdreid_bench.models.weights_path import file_digest
from mdreid_bench.weights.convert import convert
from mdreid_bench.weights.load_method import load_method
from mdreid_bench.weights.weights_file import recognise
from protocols.modality import RNT, subsets
from tests.support import mostly_slow
from tests.weights.checkpoints import COUNTER, random_state

State = dict[str, Tensor]
HEADS = r"(classifier|bottleneck)_|\.(classifier|bottleneck)\.|_(HEAD|BN)\."
LACKING = {
    "unused heads": ("mdreid", r"_(rs|ns|ts)\.", "classifier_rs, bottleneck_rs"),
    "all heads": ("mdreid", HEADS, "classifier_r, bottleneck_r"),
    "classifiers": ("mdreid", r"classifier_", "classifier_r, classifier_n"),
    "counters": ("mdreid", COUNTER, COUNTER),
    "separate supervision": ("editor", r"AL_(HEAD|BN)\.", "AL_HEAD, AL_BN"),
    "heads of EDITOR": ("editor", HEADS + r"|FREQ_INDEX|base\.fc", "BACKBONE.base.fc, FREQ_INDEX, FUSE_HEAD"),
    "heads of TOP-ReID": ("top_reid", HEADS, "RGB.classifier, RGB.bottleneck"),
}


def save(path: Path, content: Any) -> Path:
    torch.save(content, path)
    return path


def vectors(method: Method) -> dict[Any, Tensor]:
    assert method.config is not None
    generator = torch.Generator().manual_seed(1)
    images = {m: torch.randn(1, 3, *method.config.image_size, generator=generator) for m in subsets(RNT)[:3]}
    return method.embed_all(images, torch.tensor([3]), subsets(RNT))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[Any, Tensor]]:
    """The vectors of a checkpoint of a form that lacks nothing."""

    @cache
    def embedded(form: str) -> dict[Any, Tensor]:
        path = save(tmp_path_factory.mktemp("whole") / f"{form}.pth", random_state(form, blocks=1))
        assert "without" not in recognise(path).source
        return vectors(load_method(path, image_size=(256, 128)))

    return embedded


@pytest.mark.parametrize("case", LACKING)
def test_what_no_embedding_depends_on_may_be_absent_and_is_named(
    tmp_path: Path, case: str, whole: Callable[[str], dict[Any, Tensor]]
) -> None:
    form, pattern, named = LACKING[case]
    state = random_state(form, blocks=1)
    kept = {name: value for name, value in state.items() if not re.search(pattern, name)}
    assert len(kept) < len(state)
    stripped = save(tmp_path / "stripped.pth", kept)
    assert f"without {named}" in recognise(stripped).source
    found, wanted = vectors(load_method(stripped, image_size=(256, 128))), whole(form)
    assert all(torch.equal(found[subset], wanted[subset]) for subset in subsets(RNT))
    if case == "separate supervision":
        facts = convert(stripped, tmp_path / "out.safetensors", image_size=(256, 128))
        assert facts.options["supervision"] == "separate"
        assert "without AL_HEAD, AL_BN" in facts.source


def test_a_head_is_absent_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    state = random_state("mdreid", blocks=1)
    del state["bottleneck_s.running_var"]
    with pytest.raises(DataError, match=r"missing: bottleneck_s\.running_var\.$"):
        recognise(save(tmp_path / "a.pth", state))


def prefixed(prefix: str) -> Callable[[State], Any]:
    return lambda state: {prefix + name: value for name, value in state.items()}


WRAPPED: dict[str, Callable[[State], Any]] = {
    "DDP": prefixed("module."),
    "compile": prefixed("_orig_mod."),
    "compiled DDP": prefixed("module._orig_mod."),
    "DDP of compile": prefixed("_orig_mod.module."),
    "nested DDP": prefixed("module.module."),
    "Lightning": lambda state: {"state_dict": prefixed("model.")(state), "epoch": 3, "loops": {"fit": {}}},
    "averaged": lambda state: {"n_averaged": torch.tensor(9), **prefixed("module.")(state)},
    "scalars beside": lambda state: {**state, "epoch": 3, "best": 0.5, "name": "x", "metrics": [1.0]},
    "two levels": lambda state: {"model": {"state_dict": OrderedDict(state)}, "step": torch.tensor(3)},
    "training": lambda state: {
        "net": state,
        "optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 0.1}]},
        "center_criterion": {"centers": torch.zeros(7, 768)},
    },
}
WRAPPED |= {
    key: lambda state, key=key: {key: state, "epoch": 3}  # type: ignore[misc]
    for key in ("state_dict", "model", "model_state_dict", "net", "weights", "model_ema", "state_dict_ema")
}


@pytest.mark.parametrize(
    ("case", "heads"),
    mostly_slow(product(WRAPPED, (True, False)), {*product(WRAPPED, (True,)), ("DDP", False), ("Lightning", False)}),
)
def test_whatever_wraps_a_state_dict_is_taken_off(tmp_path: Path, case: str, heads: bool) -> None:
    state = {n: v for n, v in random_state("mdreid", blocks=1).items() if heads or n.startswith("BACKBONE.")}
    found = read_state(save(tmp_path / "a.pth", WRAPPED[case](state)), lambda names: len(state.keys() & names))
    assert found.keys() == state.keys()
    assert all(torch.equal(found[name], state[name]) for name in state)
    assert recognise(tmp_path / "a.pth").method == "mdreid"


def test_of_two_that_fit_the_user_chooses(tmp_path: Path) -> None:
    state = random_state("mdreid", blocks=1)
    other = {name: value + 1 for name, value in state.items()}
    path = save(tmp_path / "a#1.pth", {"state_dict": state, "state_dict_ema": other})
    with pytest.raises(
        DataError, match=r"holds state_dict, state_dict_ema, .* such as .*/a#1\.pth#state_dict_ema\.$"
    ):
        recognise(path)
    chosen = Path(f"{path}#state_dict_ema")
    method = load_method(chosen, image_size=(256, 128))
    assert torch.equal(method.state_dict()["trunk.projection"], other["BACKBONE.base.proj"])
    assert len({file_digest(path), file_digest(chosen), file_digest(Path(f"{path}#state_dict"))}) == 3
    with pytest.raises(DataError, match=r"no tensors under 'model', but under state_dict, state_dict_ema\.$"):
        recognise(Path(f"{path}#model"))
