"""What tokens attend to: rows of probabilities, the same as torch's own attention returns."""

from contextlib import ExitStack

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from mdreid_bench.data.index import DatasetIndex
from mdreid_bench.inspection.attention import attention_of, overlaid, why_not
from mdreid_bench.models.trunk.attention import Watched, attention_from, is_watchable, watched
from mdreid_bench.models.trunk.trunk import Trunk
from protocols.modality import RNT
from tests.support import build, images, small_config

WATCHED = ("mdreid", "single-classifier", "clip-zero-shot", "top-reid", "editor", "mfrnet", "demo")


def naive(attention: torch.nn.MultiheadAttention, tokens: Tensor, leading: int) -> Tensor:
    """Compute it head by head and row by row."""
    width = attention.embed_dim // attention.num_heads
    projected = tokens @ attention.in_proj_weight.T + attention.in_proj_bias
    query, key, _ = projected.chunk(3, dim=-1)
    result = torch.zeros(len(tokens), leading, tokens.shape[1])
    for item in range(len(tokens)):
        for row in range(leading):
            for head in range(attention.num_heads):
                own = slice(head * width, (head + 1) * width)
                logits = torch.stack([query[item, row, own] @ k[own] for k in key[item]]) / width**0.5
                result[item, row] += (logits.exp() / logits.exp().sum()) / attention.num_heads
    return result


def test_attention_equals_a_naive_computation_and_that_of_torch() -> None:
    torch.manual_seed(0)
    attention, tokens = torch.nn.MultiheadAttention(8, 2, batch_first=True), torch.randn(3, 5, 8)
    found = attention_from(attention, tokens, 2)
    torch.testing.assert_close(found, naive(attention, tokens, 2))
    torch.testing.assert_close(found, attention(tokens, tokens, tokens)[1][:, :2])
    torch.testing.assert_close(found.sum(-1), torch.ones(3, 2))


@pytest.mark.parametrize("name", WATCHED)
def test_the_trunks_of_every_transformer_method_are_watched_from_outside(name: str) -> None:
    """Each image of an item has rows of its own, and what the method returns is the same as unwatched."""
    method = build(name).eval()
    assert why_not(method) is None
    trunks = [one for one in method.backbones() if isinstance(one, Trunk) and is_watchable(one)]
    item, camera = images(1), torch.zeros(1, dtype=torch.int64)
    inputs: list[tuple[Trunk, Tensor]] = []
    with torch.inference_mode(), ExitStack() as stack:
        before = method.embed(method.encode(item, camera), RNT)
        for trunk in trunks:
            norm = trunk.blocks[-1].ln_1
            handle = norm.register_forward_hook(lambda _, given, out, own=trunk: inputs.append((own, out.clone())))
            stack.callback(handle.remove)
        seen = [stack.enter_context(watched(trunk)) for trunk in trunks]
        assert torch.equal(method.embed(method.encode(item, camera), RNT), before)
        found = [row for one in seen for image in item.values() if (row := one.of(image[0])) is not None]
        expected = [row for own, out in inputs for row in own.blocks[-1].attn(out, out, out)[1][:, : own.leading]]
    assert len(found) == 3
    torch.testing.assert_close(torch.stack(found), torch.stack(expected), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(torch.stack(found).sum(-1), torch.ones(3, trunks[0].leading))
    assert not trunks[0].blocks[-1].ln_1._forward_hooks


def test_methods_without_a_transformer_say_so() -> None:
    assert "has no vision transformer" in str(why_not(build("random")))


def test_the_brightest_patch_is_where_the_attention_is() -> None:
    shown = overlaid(Image.new("RGB", (40, 20)), np.array([[0, 0, 0, 1], [0, 0.5, 0, 0]], dtype=np.float32))
    pixels = np.asarray(shown).sum(axis=2)
    assert pixels[5, 35] == pixels.max()
    assert pixels[5, 5] == pixels.min() < pixels[15, 15] < pixels.max()


def test_each_sensor_of_a_test_item_has_rows_of_probabilities(planted: DatasetIndex) -> None:
    found = attention_of(build("mdreid").eval(), small_config("mdreid"), planted, 0)
    assert [*found] == [*RNT]
    for rows in found.values():
        assert rows.shape[0] == 2
        np.testing.assert_allclose(rows.sum(axis=1), 1, rtol=1e-5)


def test_an_image_that_did_not_come_by_and_tokens_of_other_origin_have_no_attention() -> None:
    image, rows = torch.ones(3, 2, 2), torch.full((1, 2), 0.5)
    assert Watched([image[None]], [rows[None]]).of(image) is not None
    assert Watched([image[None]], [rows[None]]).of(2 * image) is None
    assert Watched([image[None]], [rows.expand(3, 1, 2)]).of(image) is None
