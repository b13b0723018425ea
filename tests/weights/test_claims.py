"""Files of weights whose numbers are none, or that claim more than they hold, are refused before anything is made."""

import os
import resource
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from mdreid_bench.config.schema import TrunkConfig
from mdreid_bench.errors import DataError
from mdreid_bench.models import state_dict
from mdreid_bench.models.state_dict import read_state
from mdreid_bench.models.trunk.tower_weights import load_visual, visual_tower
from mdreid_bench.weights import checkpoint
from mdreid_bench.weights.load_method import load_method
from mdreid_bench.weights.weights_file import recognise
from mdreid_bench.weights.weights_header import WeightsHeader
from tests.support import FACTS, build, small_config
from tests.weights.checkpoints import random_state

TINY = TrunkConfig(name="mdreid-tiny", pretrained=None, layers=1)
FOREIGN = [torch.int8, torch.uint8, torch.bool, torch.int64, torch.complex64]
HALVES = [torch.float16, torch.bfloat16, torch.float64]


def released(path: Path, change: Callable[[Tensor], Tensor]) -> None:
    """Load a released checkpoint, one tensor of which was changed."""
    state = random_state("mdreid", blocks=1)
    torch.save(state | {"BACKBONE.base.proj": change(state["BACKBONE.base.proj"])}, path)
    load_method(path, image_size=(256, 128))


def own(path: Path, change: Callable[[Tensor], Tensor]) -> None:
    """Load a file of this suite."""
    method, config = build("mdreid"), small_config("mdreid")
    state = dict(method.state_dict())
    state["trunk.projection"] = change(state["trunk.projection"])
    facts = WeightsHeader.of(method, config, FACTS, selection="last-epoch").header()
    path = path.with_suffix(".safetensors")
    checkpoint.write(path, {name: value.clone().contiguous() for name, value in state.items()}, facts)
    load_method(path)


def pretrained(path: Path, change: Callable[[Tensor], Tensor]) -> None:
    """Load the pretrained weights of a trunk."""
    visual = visual_tower(TINY)
    torch.save({**visual.state_dict(), "proj": change(visual.state_dict()["proj"])}, path)
    load_visual(visual, path, "mdreid-tiny")


READERS = {
    "released": (released, r"trunk\.projection"),
    "own": (own, r"trunk\.projection"),
    "pretrained": (pretrained, "proj"),
}


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize("dtype", FOREIGN, ids=str)
def test_numbers_of_another_kind_are_not_converted(tmp_path: Path, kind: str, dtype: torch.dtype) -> None:
    read, name = READERS[kind]
    with pytest.raises(DataError, match=f"The tensor {name} in .*w\\..* holds {dtype} where numbers with a fraction"):
        read(tmp_path / "w.pth", lambda x: x.to(dtype))


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_other_precisions_are(tmp_path: Path, kind: str, dtype: torch.dtype) -> None:
    READERS[kind][0](tmp_path / "w.pth", lambda x: x.to(dtype))


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
def test_what_is_no_number_is_refused_by_the_name_of_its_tensor(tmp_path: Path, kind: str, value: float) -> None:
    read, name = READERS[kind]
    with pytest.raises(DataError, match=f"The tensor {name} in .* holds NaN or infinity") as caught:
        read(tmp_path / "w.pth", lambda x: x.index_fill(0, torch.tensor([3]), value))
    assert not {"remove", "delete", "anew"} & set(str(caught.value).split())


def test_a_released_checkpoint_with_nan_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    state = random_state("mdreid", blocks=1)
    torch.save(state | {"BACKBONE.base.proj": state["BACKBONE.base.proj"] * float("nan")}, tmp_path / "w.pth")
    with pytest.raises(DataError, match=r"trunk\.projection in .* holds NaN or infinity"):
        recognise(tmp_path / "w.pth")


def test_counters_are_integers(tmp_path: Path) -> None:
    state = random_state("mdreid", blocks=1)
    torch.save(state | {"bottleneck_s.num_batches_tracked": torch.tensor(3.0)}, tmp_path / "w.pth")
    with pytest.raises(DataError, match=r"num_batches_tracked in .* holds torch\.float32 where torch\.int64 belong"):
        load_method(tmp_path / "w.pth", image_size=(256, 128))


@pytest.mark.parametrize("number", ["99999999", "9" * 5000])
def test_a_block_beyond_all_names_is_no_block(tmp_path: Path, number: str) -> None:
    state = random_state("mdreid", blocks=1)
    name = f"BACKBONE.base.transformer.resblocks.{number}.ln_1.bias"
    torch.save(state | {name: torch.zeros(768)}, tmp_path / "w.pth")
    with pytest.raises(DataError, match=f"unexpected: {name}"):
        recognise(tmp_path / "w.pth")


def peak() -> int:
    """Return the most memory that this process ever had, in bytes."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@pytest.mark.parametrize("case", ["stretched", "shared"])
def test_tensors_are_not_larger_than_what_is_behind_them(tmp_path: Path, case: str) -> None:
    flat = torch.zeros(1 << 20)
    state = {
        "stretched": {"a": torch.zeros(1).expand(1 << 20), "b": torch.zeros(1)},
        "shared": {f"t{i}": flat for i in range(40)},
    }[case]
    torch.save(state, tmp_path / "w.pth")
    before = peak()
    with pytest.raises(DataError, match=r"w\.pth is refused: its tensor (a|t\d+) of shape \(1048576,\) claims more"):
        read_state(tmp_path / "w.pth")
    assert peak() - before < 1 << 28


def test_an_archive_is_not_unpacked_to_many_times_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_dict, "SMALL_CLAIM", 1 << 20)
    torch.save({"a": torch.zeros(1 << 20)}, tmp_path / "w.pth")
    assert read_state(tmp_path / "w.pth")["a"].shape == (1 << 20,)
    with zipfile.ZipFile(tmp_path / "w.pth") as source, zipfile.ZipFile(tmp_path / "d.pth", "w", 8) as target:
        for entry in source.infolist():
            target.writestr(entry.filename, source.read(entry))
    with pytest.raises(DataError, match=r"d\.pth is refused: it would unpack to 41\d+ bytes"):
        read_state(tmp_path / "d.pth")


@pytest.mark.parametrize(
    ("claim", "said"),
    [
        ({"identities": 10**7}, "claim 10000000 identities, of which they hold nothing"),
        ({"cameras": 10**7}, "claim 10000000 cameras"),
        ({"trunk": {"name": "ViT-bigG-14", "pretrained": None}}, "claim the trunk ViT-bigG-14, which is far larger"),
        ({"image": {"size": [100_000, 100_000]}}, "cannot be read"),
        ({"sensors": "RXT"}, "cannot be read"),
    ],
)
def test_a_description_is_not_larger_than_its_file(tmp_path: Path, claim: dict[str, object], said: str) -> None:
    method, config = build("mdreid"), small_config("mdreid")
    facts = WeightsHeader.of(method, config, FACTS, selection="last-epoch").header()
    checkpoint.save_weights(tmp_path / "w.safetensors", method, facts | claim)
    with pytest.raises(DataError, match=said):
        load_method(tmp_path / "w.safetensors")


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
def test_a_pipe_is_no_file_of_weights(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    for read in (recognise, read_state):
        with pytest.raises(DataError, match="not a regular file"):
            read(tmp_path / name)


def test_advice_on_a_damaged_file_fits_what_it_is(tmp_path: Path) -> None:
    """Weights that were given must not be removed because they are damaged; a state of ours may be."""
    save_file({"a": torch.zeros(2)}, tmp_path / "w.safetensors")
    data = (tmp_path / "w.safetensors").read_bytes()
    (tmp_path / "w.safetensors").write_bytes(data[:-3])
    with pytest.raises(DataError, match=r"w\.safetensors cannot be read \(SafetensorError\); get it anew from where"):
        checkpoint.read(tmp_path / "w.safetensors")
    with pytest.raises(DataError, match="move it away to train anew"):
        checkpoint.load_weights(tmp_path / "w.safetensors", build("random"))
    with pytest.raises(DataError, match="cannot be read: No such file"):
        checkpoint.load_weights(tmp_path / "gone.safetensors", build("random"))


@pytest.mark.parametrize("facts", ["[" * 100_000, "7", '["method"]', "null", "{"])
def test_a_description_that_is_no_plain_object_is_refused_by_name(tmp_path: Path, facts: str) -> None:
    path = tmp_path / "w.safetensors"
    save_file({"w": torch.zeros(1)}, path, {"facts": facts})
    for read in (recognise, checkpoint.read):
        with pytest.raises(DataError, match=r"w\.safetensors cannot be read \(\w+Error\)"):
            read(path)
