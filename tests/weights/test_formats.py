"""Released checkpoints are known by their names; one that is not whole is refused whole, by name."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from mdreid_bench.config.schema import ImageConfig, TrunkConfig
from mdreid_bench.config.tree import Tree
from mdreid_bench.errors import DataError, UsageError
from mdreid_bench.models import registry
from mdreid_bench.models.method import DataFacts
from mdreid_bench.models.released_format import ReleasedFormat
from mdreid_bench.weights.given_weights import GivenWeights
from mdreid_bench.weights.weights_file import recognise
from tests.weights.checkpoints import COUNTER, FORMATS, empty_state, random_state, shapes

METHODS = {"mdreid": "mdreid", "top_reid": "top-reid", "editor": "editor", "mfrnet": "mfrnet", "demo": "demo"}

ON_CLIP = {"mdreid", "mfrnet", "demo"}
"""Formats that have a tower in common, which is about half of all names."""
MAY_BE_ABSENT = (
    COUNTER,
    *(
        f"classifier{head}.weight"
        for head in ("", "_r", "_n", "_t", "_s", "_rs", "_ns", "_ts", "_ViT", "_TPM", "_moe")
    ),
    *(f"{head}_HEAD.weight" for head in ("FUSE", "AL", "BACKBONE")),
)


def form_of(name: str) -> ReleasedFormat:
    form = registry.get(METHODS[name]).released
    assert form is not None
    return form


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("blocks", [1, 12])
def test_the_published_names_and_shapes_are_those_of_the_format(name: str, blocks: int) -> None:
    form, state = form_of(name), empty_state(name, blocks)
    assert not form.faults(state)
    assert form.likeness(state) == 1
    assert form.layout(state).blocks == blocks
    assert (form.layout(state).sizes["C"], form.layout(state).sizes["K"]) == (7, 4)
    others = {other: form_of(other).likeness(state) for other in FORMATS if other != name}
    assert all(likeness < (0.6 if {name, other} <= ON_CLIP else 0.5) for other, likeness in others.items())


@pytest.mark.parametrize("every", [19, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", FORMATS)
def test_any_tensor_that_is_missing_renamed_or_misshapen_is_named(name: str, every: int) -> None:
    form, whole = form_of(name), empty_state(name)
    for victim, value in list(whole.items())[::every]:
        without = {n: v for n, v in whole.items() if n != victim}
        missing = [] if victim.endswith(MAY_BE_ABSENT) else [victim]
        assert form.faults(without).missing == missing
        renamed = without | {victim + "_": value}
        assert (form.faults(renamed).missing, form.faults(renamed).unexpected) == (missing, [victim + "_"])
        reshaped = without | {victim: value.new_empty((*value.shape, 2))}
        assert [fault[0] for fault in form.faults(reshaped).misshapen] == [victim]
        assert all(form.likeness(state) > 0.9 for state in (without, renamed, reshaped))


def test_sizes_are_those_that_most_tensors_speak_for() -> None:
    state = empty_state("mdreid") | {"classifier_n.weight": torch.empty(9, 512, device="meta")}
    faults = form_of("mdreid").faults(state)
    assert str(faults) == "misshapen: classifier_n.weight is 9x512 instead of 7x512"


def test_long_lists_of_faults_are_cut_short_and_counted() -> None:
    state = {name: value for name, value in empty_state("mdreid").items() if "resblocks.0" not in name}
    text = str(form_of("mdreid").faults(state))
    assert text.startswith("missing: BACKBONE.base.transformer.resblocks.0.attn.in_proj_bias, ")
    assert text.endswith(" and 2 more")


def save(path: Path, state: dict[str, Tensor]) -> Path:
    torch.save(state, path)
    return path


def test_a_recognised_file_says_what_it_holds(tmp_path: Path) -> None:
    state = random_state("mdreid", blocks=1, identities=155, cameras=8)
    given = recognise(save(tmp_path / "a.pth", {"state_dict": state}))  # type: ignore[dict-item]
    assert (given.method, given.data, given.patches) == ("mdreid", DataFacts(155, 8), 128)
    assert (given.trunk.name, given.trunk.layers, given.selection) == ("ViT-B-16-quickgelu", 1, "best-test")
    assert given.likely is not None
    assert given.likely.name == "msvr310"
    assert given.described == "from the released code of MDReID, trained on MSVR310"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bottleneck_s.bias": None}, r"missing: bottleneck_s\.bias\.$"),
        ({"more": torch.zeros(1)}, r"unexpected: more\.$"),
        ({"BACKBONE.base.proj": torch.zeros(512, 768)}, r"BACKBONE\.base\.proj is 512x768 instead of 768x512\.$"),
    ],
)
def test_a_faulty_file_is_refused_by_name(tmp_path: Path, change: dict[str, Tensor | None], message: str) -> None:
    state = {**random_state("mdreid", blocks=1), **change}
    path = save(tmp_path / "a.pth", {name: value for name, value in state.items() if value is not None})
    with pytest.raises(DataError, match=message):
        recognise(path)


def test_a_file_of_another_kind_is_not_recognised(tmp_path: Path) -> None:
    path = save(tmp_path / "a.pth", {"layer1.weight": torch.zeros(1), "layer2.weight": torch.zeros(1)})
    with pytest.raises(DataError, match=r"layer1\.weight, layer2\.weight and so on; known are .* of MDReID"):
        recognise(path)
    with pytest.raises(DataError, match=r"nothing\.pth cannot be read"):
        recognise(tmp_path / "nothing.pth")


def given(patches: int) -> GivenWeights:
    facts = DataFacts(identities=7, cameras=4)
    trunk = TrunkConfig(name="ViT-B-16-quickgelu", pretrained=None)
    return GivenWeights(Path("w.pth"), "mdreid", facts, "best-test", trunk, None, patches, 16, {}, {}, None, "")


@pytest.mark.parametrize(
    ("patches", "configured", "expected"),
    [
        (128, (256, 128), (256, 128)),
        (128, (128, 256), (128, 256)),
        (128, (128, 64), (256, 128)),
        (32, (256, 128), (128, 64)),
        (144, (192, 192), (192, 192)),
    ],
)
def test_images_have_the_configured_shape_and_the_number_of_patches(
    patches: int, configured: tuple[int, int], expected: tuple[int, int]
) -> None:
    image, stride = given(patches).shape(ImageConfig(size=configured), {})
    assert (image.size, stride) == (expected, None)


@pytest.mark.parametrize(
    ("configured", "user", "expected"),
    [
        ((256, 128), {}, ((256, 128), 12)),
        ((128, 256), {}, ((128, 256), 12)),
        ((256, 128), {"image": {"size": [256, 128]}}, ((256, 128), 12)),
        ((256, 128), {"trunk": {"stride": 12}}, ((256, 128), 12)),
        ((336, 160), {"image": {"size": [336, 160]}, "trunk": {"stride": 16}}, ((336, 160), 16)),
    ],
)
def test_patches_that_overlap_are_told_by_their_number(
    configured: tuple[int, int], user: Tree, expected: tuple[tuple[int, int], int]
) -> None:
    """210 rows are 21 x 10 patches of 256x128, 12 pixels apart."""
    image, stride = given(210).shape(ImageConfig(size=configured), user)
    assert (image.size, stride) == expected


def test_a_size_that_fits_by_accident_is_asked_about() -> None:
    with pytest.raises(UsageError, match=r"336x160 with trunk.stride=16 or 256x128 with trunk.stride=12; set image"):
        given(210).shape(ImageConfig(size=(336, 160)), {"image": {"size": [336, 160]}})
    with pytest.raises(UsageError, match=r"288x144 with trunk.stride=16 or 256x128 with trunk.stride=14"):
        given(162).shape(ImageConfig(size=(256, 128)), {})
    with pytest.raises(UsageError, match=r"210 rows for patches, which an image of 256x128 has not with .*stride=11"):
        given(210).shape(ImageConfig(size=(256, 128)), {"trunk": {"stride": 11}})


def test_images_that_cannot_have_the_number_of_patches_are_refused() -> None:
    with pytest.raises(DataError, match="129 rows for patches"):
        given(129).shape(ImageConfig(size=(256, 128)), {})
    with pytest.raises(
        UsageError, match=r"128 rows for patches, which an image of 64x64 has not with trunk.stride=16"
    ):
        given(128).shape(ImageConfig(size=(64, 64)), {"image": {"size": [64, 64]}})


def test_cameras_beyond_the_table_are_refused() -> None:
    given(128).check_cameras(3, "RGBNT201")
    with pytest.raises(DataError, match="know 4 cameras, but MSVR310 has images of camera 8"):
        given(128).check_cameras(7, "MSVR310")


def test_shapes_of_the_files_have_no_open_sizes() -> None:
    assert all(isinstance(side, int) for name in FORMATS for shape in shapes(name).values() for side in shape)
