"""What the pretraining of the stand-in trunks gets to see, and what it cannot."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open

from mdreid_bench.config.schema import TrunkConfig
from mdreid_bench.data.synthetic.draw import draw_identity, stream
from mdreid_bench.data.synthetic.latents import Kind, Part
from mdreid_bench.data.synthetic.render import render
from mdreid_bench.data.synthetic.write import NAMESPACE as DATASETS
from mdreid_bench.models.trunk.resnet import ResNet
from mdreid_bench.models.trunk.tower_weights import visual_tower
from mdreid_bench.models.weights_path import local_weights
from mdreid_bench.pretrain import __main__ as script
from mdreid_bench.pretrain import samples
from mdreid_bench.pretrain.batch import Batch, photographed
from mdreid_bench.pretrain.naming import Namer, naming_loss
from mdreid_bench.progress import Silent
from protocols.modality import Modality

KINDS: tuple[Kind, ...] = ("person", "vehicle")


def pool(kind: Kind, images: int = 4) -> Batch:
    return script.draw_pool(kind, "train", images, lambda *_: None)


def changed(batch: Batch, seed: int = 0) -> Batch:
    return photographed(batch, torch.Generator().manual_seed(seed))


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
    pools = [script.draw_pool(kind, split, 6, lambda *_: None) for split in ("train", "held-out")]
    assert taken == [(i, (Modality.R,)) for i in range(12)]
    assert len({identity.materials.tobytes() for identity in objects}) == len(objects) == 12
    assert sum(len(pool.images) for pool in pools) == 12


@pytest.mark.parametrize("kind", KINDS)
def test_a_caption_does_not_say_who_it_is(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    """Objects that look alike have the same image and caption, whatever their numbers: neither holds the number."""
    assert {field.name for field in fields(samples.Sample)} == {
        *("images", "fields", "regions", "colours", "coloured", "words", "told", "view")
    }
    other = samples.draw_sample(kind, "train", 1)
    monkeypatch.setattr(samples, "stream", lambda *_: stream("test", 0))
    one, same = (samples.draw_sample(kind, "train", number) for number in (0, 917))
    for field in fields(samples.Sample):
        assert np.array_equal(getattr(one, field.name), getattr(same, field.name))
    assert not np.array_equal(one.images, other.images)


@pytest.mark.parametrize("name", script.COURSES)
def test_the_loss_is_a_mean_over_images_that_have_nothing_to_do_with_each_other(name: str) -> None:
    torch.manual_seed(0)
    namer, batch = Namer(name).eval(), changed(pool("person"))
    alone = [batch.rows(torch.tensor([i])) for i in range(4)]
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
    height, width = samples.SIZES[kind]
    batch = pool(kind, 8)
    assert batch.images.shape == (8, 3, height, width)
    assert batch.fields.shape == (8, height * width // samples.FIELD**2, len(Part))
    assert batch.regions.shape == (8, samples.REGIONS, len(Part))
    assert torch.allclose(batch.fields.sum(2), torch.ones(()))
    assert torch.allclose(batch.fields.mean(1), batch.regions.mean(1), atol=1e-6)
    assert torch.allclose(batch.view.norm(dim=1), torch.ones(()))
    assert (batch.regions.mean(1)[batch.coloured] > 0).all()
    assert batch.words[:, samples.WORDS.index(kind)].all()
    assert not batch.words[:, samples.WORDS.index("vehicle" if kind == "person" else "person")].any()


def test_a_changed_photograph_says_so_and_depends_on_no_other() -> None:
    before = pool("vehicle", 24)
    after = changed(before)
    grey, negative = after.words[:, -2].bool(), after.words[:, -1].bool()
    assert 0 < grey.sum() < 24
    assert 0 < negative.sum() < 24
    assert torch.equal((after.images - after.images[:, :1]).flatten(1).abs().amax(1) < 1e-6, grey)
    assert after.images.min() >= -1
    assert after.images.max() <= 1
    assert not after.coloured[grey | negative].any()
    assert torch.equal(after.coloured[~(grey | negative)], before.coloured[~(grey | negative)])
    assert torch.equal(after.words[:, :-2], before.words[:, :-2])
    others = Batch(*(getattr(before, field.name).clone() for field in fields(Batch)))
    others.images[1:] = others.images[1:].flip(0)
    assert torch.equal(changed(others).images[0], after.images[0])


@pytest.mark.parametrize("name", script.COURSES)
def test_a_short_pretraining_learns_and_what_it_writes_is_loaded(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "_HELD_OUT", 4)
    torch.manual_seed(script._SEED)
    before = naming_loss(Namer(name), changed(pool("person")))
    namer, _ = script.pretrain(name, script.Course(8, 4, 4), Silent())
    assert naming_loss(namer, changed(pool("person"))) < before
    out = tmp_path / "out.safetensors"
    script.save(namer, {}, out)
    config = TrunkConfig(name=name, pretrained=str(out))
    loaded = visual_tower(config) if name == "mdreid-tiny" else ResNet.build(config)
    for key, value in namer.trunk.state_dict().items():
        if value.is_floating_point():
            assert torch.equal(loaded.state_dict()[key], value.half().float()), key


@pytest.mark.parametrize("name", script.COURSES)
def test_the_shipped_weights_say_how_they_were_made_and_what_they_can_do(name: str) -> None:
    file = local_weights(TrunkConfig(name=name, pretrained="synthetic"))
    assert file is not None
    assert file.stat().st_size <= 5_000_000
    with safe_open(file, "pt") as opened:
        told = opened.metadata()
    assert told["made_by"] == f"python -m mdreid_bench.pretrain {name} {file.name}"
    assert told["steps"] == str(script.COURSES[name].steps)
    for kind in KINDS:
        assert float(told[f"{kind}.fields_named"]) > float(told[f"{kind}.fields_of_background"])
        assert 0 <= float(told[f"{kind}.share_error"]) <= 1
