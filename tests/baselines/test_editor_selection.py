"""Which patches EDITOR keeps: loops over heads, patches and pixels, and the wavelet transform of the paper."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from baselines.editor.selection import frequency_mask, keep_largest, spatial_mask
from mdreid_bench.errors import UsageError
from tests.baselines.literal import random
from tests.support import build

Array = NDArray[np.float64]


@given(st.lists(st.integers(0, 4), min_size=1, max_size=9), st.data())
@settings(max_examples=60, deadline=None)
def test_the_largest_are_kept_and_ties_go_to_the_lowest_index(values: list[int], data: st.DataObject) -> None:
    keep = data.draw(st.integers(1, len(values)))
    ranked = sorted(range(len(values)), key=lambda i: (-values[i], i))
    first = keep_largest(torch.tensor([values]), keep)[0].tolist()
    assert first == [i in ranked[:keep] for i in range(len(values))]
    everything = keep_largest(torch.tensor([values]), keep, "all")[0].tolist()
    assert everything == [value >= values[ranked[keep - 1]] for value in values]


def test_spatial_mask_is_the_union_over_heads() -> None:
    rollout = torch.tensor([[[0.1, 0.5, 0.4, 0.0], [0.1, 0.2, 0.3, 0.4]]])
    assert spatial_mask(rollout, keep=1).tolist() == [[False, True, False, True]]
    assert spatial_mask(rollout, keep=2).tolist() == [[False, True, True, True]]


def test_frequency_mask_counts_bright_pixels_patch_by_patch() -> None:
    brightness = random(3, 8, 12)
    brightness[0, :4, 4:8] = 0  # exactly mid-grey is not bright
    found = frequency_mask(brightness, (4, 4), keep=2)
    for item in range(3):
        counts = [
            sum(bool(brightness[item, y, x] > 0) for y in range(r, r + 4) for x in range(c, c + 4))
            for r in (0, 4)
            for c in (0, 4, 8)
        ]
        chosen = sorted(range(6), key=lambda p: (-counts[p], p))[:2]
        assert found[item].nonzero().flatten().tolist() == sorted(chosen)


def haar(image: Array, levels: int) -> list[Array]:
    """Return the approximation and, level by level, the three details of an orthonormal Haar transform."""
    details: list[Array] = []
    for _ in range(levels):
        a, b, c, d = image[::2, ::2], image[::2, 1::2], image[1::2, ::2], image[1::2, 1::2]
        details += [(a - b + c - d) / 2, (a + b - c - d) / 2, (a - b - c + d) / 2]
        image = (a + b + c + d) / 2
    return [image, *details]


def inverse_haar(coefficients: list[Array]) -> Array:
    image, *details = coefficients
    while details:
        *details, h, v, x = details
        larger = np.empty((2 * image.shape[0], 2 * image.shape[1]))
        larger[::2, ::2], larger[::2, 1::2] = (image + h + v + x) / 2, (image - h + v - x) / 2
        larger[1::2, ::2], larger[1::2, 1::2] = (image + h - v - x) / 2, (image - h - v + x) / 2
        image = larger
    return image


def test_averaging_wavelet_coefficients_is_averaging_images() -> None:
    images = [random(32, 48, seed=seed).numpy() for seed in range(3)]
    transformed = [haar(image, levels=4) for image in images]
    averaged = [sum(parts) / 3 for parts in zip(*transformed, strict=True)]
    np.testing.assert_allclose(inverse_haar(averaged), sum(images) / 3, atol=1e-12)


def test_more_patches_than_there_are_cannot_be_kept() -> None:
    with pytest.raises(UsageError, match=r"options.frequency_keep 10 is more than the 6 patches"):
        build("editor", {"options": {"frequency_keep": 10}})
