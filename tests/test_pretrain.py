"""What the pretraining of the stand-in trunks gets to see, and what it cannot."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mdreid_bench.config.schema import TrunkConfig
from mdreid_bench.data.synthetic.draw import draw_identity, stream
from mdreid_bench.data.synthetic.latents import Kind, Part
from mdreid_bench.data.synthetic.render import render
from mdreid_bench.data.synthetic.write import NAMESPACE as DATASETS
from mdreid_bench.models.trunk.resnet import ResNet
from mdreid_bench.models.trunk.tower_weights import visual_tower
from mdreid_bench.pretrain import __main__ as script
from mdreid_bench.pretrain import samples
from mdreid_bench.pretrain.naming import Batch, Namer, naming_loss
from mdreid_bench.progress import Silent
from protocols.modality import Modality

KINDS: tuple[Kind, ...] = ("person", "vehicle")
SMALL = {"person": (32, 16), "vehicle": (16, 32)}


def small_batch(kind: Kind, images: int = 4) -> Batch:
    return Batch.of([samples.draw_sample(kind, "train", i, SMALL[kind]) for i in range(images)])


@pytest.mark.parametrize("kind", KINDS)
def test_each_image_is_the_only_one_of_its_object_and_taken_by_one_sensor(
    kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects: list[Any] = []
    taken: list[tuple[int, tuple[Modality, ...]]] = []

    def drawn(*given: Any) -> Any:
        objects.append(draw_identity(*given))
        return objects[-1]

    def rendered(identity: Any, *given: Any) -> Any:
        images = render(identity, *given)
        taken.append((next(i for i, known in enumerate(objects) if known is identity), tuple(images)))
        return images

    monkeypatch.setattr("mdreid_bench.pretrain.samples.draw_identity", drawn)
    monkeypatch.setattr("mdreid_bench.pretrain.samples.render", rendered)
    batches = [script.draw_batch(kind, split, number, 3) for split in ("train", "held-out") for number in range(3)]
    assert taken == [(i, (Modality.R,)) for i in range(3 * len(batches))]
    materials = {identity.materials.tobytes() for identity in objects}
    assert len(materials) == len(objects) == 3 * len(batches)


@pytest.mark.parametrize("kind", KINDS)
def test_a_caption_does_not_say_who_it_is(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    """Objects that look alike have the same image and caption, whatever their numbers: neither holds the number."""
    assert {field.name for field in fields(samples.Sample)} == {
        *("image", "fields", "shares", "colours", "coloured", "words", "told", "view")
    }
    other = samples.draw_sample(kind, "train", 1, SMALL[kind])
    monkeypatch.setattr(samples, "stream", lambda *_: stream("test", 0))
    one, same = (samples.draw_sample(kind, "train", number, SMALL[kind]) for number in (0, 917))
    for field in fields(samples.Sample):
        assert np.array_equal(getattr(one, field.name), getattr(same, field.name))
    assert not np.array_equal(one.image, other.image)


@pytest.mark.parametrize("name", script.STEPS)
def test_the_loss_is_a_mean_over_images_that_have_nothing_to_do_with_each_other(name: str) -> None:
    torch.manual_seed(0)
    namer, batch = Namer(name).eval(), small_batch("person")
    alone = [Batch(*(getattr(batch, field.name)[i : i + 1] for field in fields(Batch))) for i in range(4)]
    with torch.no_grad():
        assert naming_loss(namer, batch) == pytest.approx(
            np.mean([naming_loss(namer, one).item() for one in alone]), rel=1e-5
        )
        for error, values in namer.errors(batch).items():
            assert values.tolist() == pytest.approx([namer.errors(one)[error].item() for one in alone], rel=1e-4)


def test_no_dataset_has_the_random_streams_of_the_pretraining() -> None:
    assert samples.NAMESPACE != DATASETS


@pytest.mark.parametrize("kind", KINDS)
def test_a_caption_describes_its_image(kind: Kind) -> None:
    for number in range(6):
        sample = samples.draw_sample(kind, "train", number, samples.SIZES[kind][0])
        height, width = sample.image.shape[:2]
        assert sample.fields.shape == (height * width // samples.PATCH**2, len(Part))
        assert sample.fields.sum(1) == pytest.approx(1, abs=1e-5)
        assert sample.shares == pytest.approx(sample.fields.mean(0), abs=1e-6)
        assert np.hypot(*sample.view) == pytest.approx(1, abs=1e-5)
        grey = np.ptp(sample.image, axis=2).max() == 0
        assert not (grey and sample.coloured.any())
        assert (sample.shares[sample.coloured] > 0).all()
        assert not sample.coloured[[Part.BACKGROUND, Part.OCCLUDER]].any() or sample.colours[Part.OCCLUDER].any()


@pytest.mark.parametrize("name", script.STEPS)
def test_a_short_pretraining_learns_and_what_it_writes_is_loaded(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "draw_batch", lambda kind, *_: small_batch(kind))
    monkeypatch.setattr(script, "_BATCH", 4)
    monkeypatch.setattr(script, "_HELD_OUT", 4)
    torch.manual_seed(script._SEED)
    before = naming_loss(Namer(name), small_batch("person"))
    namer, _ = script.pretrain(name, 8, Silent())
    assert naming_loss(namer, small_batch("person")) < before
    out = tmp_path / "out.safetensors"
    script.save(namer, {}, out)
    config = TrunkConfig(name=name, pretrained=str(out))
    loaded = visual_tower(config) if name == "mdreid-tiny" else ResNet.build(config)
    for key, value in namer.trunk.state_dict().items():
        if value.is_floating_point():
            assert torch.equal(loaded.state_dict()[key], value.half().float()), key
