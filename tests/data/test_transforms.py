"""Augmentation: what it may change, and what its draws depend on."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from mdreid_bench.config.schema import AugmentConfig, ImageConfig
from mdreid_bench.data.feeding import Sample, collate
from mdreid_bench.data.transforms import TrainTransform, normalise, resize
from protocols.modality import RNT, Modality

R = Modality.R

OFF = AugmentConfig(flip=0, pad=0, erase=0)
PIXELS = np.random.default_rng(0).integers(0, 256, (8, 6, 3), dtype=np.uint8)


def _augmented(config: AugmentConfig, pixels: NDArray[np.uint8], seed: int) -> Tensor:
    """Return what a network sees of one augmented image, (3, H, W)."""
    found, box = TrainTransform(config)(pixels, np.random.default_rng(seed))
    return collate([Sample({R: found}, {R: box} if box else {}, 0)]).on(torch.device("cpu"), ImageConfig())[R][0]


def test_normalise_by_hand() -> None:
    pixels = np.array([[[0, 255, 51]]], dtype=np.uint8)
    assert normalise(pixels, ImageConfig()).flatten().tolist() == pytest.approx([-1.0, 1.0, -0.6])


def test_without_augmentation_only_the_scale_changes() -> None:
    found = _augmented(OFF, PIXELS, 1)
    assert torch.equal(found, normalise(PIXELS, ImageConfig()))


def test_certain_flip_mirrors_columns() -> None:
    found = _augmented(OFF.model_copy(update={"flip": 1.0}), PIXELS, 1)
    assert torch.equal(found, normalise(PIXELS, ImageConfig()).flip(2))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 3))
def test_crop_is_a_shift_with_black_borders(seed: int, pad: int) -> None:
    found = _augmented(OFF.model_copy(update={"pad": pad}), PIXELS, seed)
    padded = normalise(np.pad(PIXELS, ((pad, pad), (pad, pad), (0, 0))), ImageConfig())
    windows = [padded[:, y : y + 8, x : x + 6] for y in range(2 * pad + 1) for x in range(2 * pad + 1)]
    assert any(torch.equal(found, window) for window in windows)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000))
def test_erasing_replaces_one_box_of_allowed_size(seed: int) -> None:
    plain = np.full((40, 30, 3), 7, dtype=np.uint8)
    found = _augmented(OFF.model_copy(update={"erase": 1.0}), plain, seed)
    changed = (found != normalise(plain, ImageConfig())).any(0)
    assert changed.any()
    rows, columns = torch.where(changed)
    height, width = (int(x.max() - x.min()) + 1 for x in (rows, columns))
    assert changed.sum() == height * width
    assert 0.02 * 1200 * 0.7 <= height * width <= 1200 / 3 * 1.3


def test_an_erased_box_may_have_values_of_its_own() -> None:
    config = AugmentConfig(flip=0, pad=0, erase=1.0, erase_fill=(3.0, 4.0, 5.0))
    found = _augmented(config, np.full((40, 30, 3), 7, dtype=np.uint8), 3)
    box = torch.stack([plane == value for plane, value in zip(found, (3, 4, 5), strict=True)])
    assert box[0].any()
    assert torch.equal(box[0], box[1])
    assert torch.equal(box[0], box[2])
    assert torch.equal(found[:, ~box[0]], torch.full_like(found[:, ~box[0]], 7 / 127.5 - 1))


def test_channels_of_visible_images_are_exchanged_and_of_no_others() -> None:
    transform = TrainTransform(AugmentConfig(flip=0, pad=0, erase=1.0, channels=True, erase_fill=(1.0, 2.0, 3.0)))
    grey = np.rint(PIXELS @ np.array([0.2989, 0.587, 0.114]) / 0.9999)
    kinds = {**{str(c): np.repeat(PIXELS[:, :, c : c + 1], 3, 2) for c in range(3)}, "kept": PIXELS}
    kinds["grey"] = np.repeat(grey[:, :, None], 3, 2).astype(np.uint8)
    fills = {"0": (1, 1, 1), "1": (2, 2, 2), "2": (3, 3, 3), "kept": (1, 2, 3), "grey": (1.815, 1.815, 1.815)}
    counts = dict.fromkeys(kinds, 0)
    for n in range(400):
        images, boxes = transform.each({R: PIXELS, Modality.N: PIXELS}, (0, 0, n))
        assert np.array_equal(images[Modality.N], PIXELS)
        (kind,) = (name for name, wanted in kinds.items() if np.array_equal(images[R], wanted))
        counts[kind] += 1
        if R in boxes:
            assert boxes[R].noise[:, 0, 0].tolist() == pytest.approx(fills[kind], abs=2e-3)
    assert all(70 <= counts[c] <= 130 for c in "012")
    assert all(30 <= counts[name] <= 70 for name in ("kept", "grey"))


def test_draws_depend_on_the_seed_alone() -> None:
    transform = TrainTransform(AugmentConfig(pad=2))
    pixels = dict.fromkeys(tuple(RNT), PIXELS)
    first, again, other = (
        collate([Sample(*transform.each(pixels, (1, 2, n)), 0)]).on(torch.device("cpu"), ImageConfig())
        for n in (3, 3, 4)
    )
    assert all(torch.equal(first[m], again[m]) for m in RNT)
    assert any(not torch.equal(first[m], other[m]) for m in RNT)


@pytest.mark.parametrize("sync", [True, False])
def test_modalities_share_their_draws_only_when_synchronised(sync: bool) -> None:
    transform = TrainTransform(AugmentConfig(pad=3, erase=0, sync=sync))
    results = [transform.each(dict.fromkeys(tuple(RNT), PIXELS), (0, 0, n))[0] for n in range(8)]
    same = [all(np.array_equal(r[next(iter(RNT))], r[m]) for m in RNT) for r in results]
    assert all(same) if sync else not all(same)


def test_resize_interpolates_differently_for_training_and_testing() -> None:
    image = Image.fromarray(np.random.default_rng(1).integers(0, 256, (20, 20, 3), dtype=np.uint8))
    train, test = (resize(image, (10, 5), training=flag) for flag in (True, False))
    assert train.shape == test.shape == (10, 5, 3)
    assert not np.array_equal(train, test)
    assert np.array_equal(resize(image, (20, 20), training=True), np.asarray(image))
