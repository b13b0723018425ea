"""Aggregation, background consistency and object centres against transcriptions of docs/methods/editor.md."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from baselines.editor.aggregation import HierarchicalAggregation
from baselines.editor.background_consistency import background_consistency
from baselines.editor.masked_block import MaskedBlock
from baselines.editor.object_centric import ObjectCentres
from protocols.modality import RNT, Modality, N, R, T
from tests.baselines.literal import State, attention, gelu, layer_norm, linear, part, random

WIDTH, HEADS, BATCH, PATCHES = 12, 3, 3, 6
Tokens = dict[Modality, Tensor]


def tokens() -> Tokens:
    return {m: random(BATCH, 1 + PATCHES, WIDTH, seed=m.value) for m in RNT}


def selection() -> Tensor:
    chosen = random(BATCH, PATCHES, seed=9) > 0.3
    chosen[:, 2] = True
    assert not chosen.all(1).any()
    return chosen


def block(x: Tensor, mask: Tensor, state: State) -> Tensor:
    """Write one masked block out, masked positions at the fp16 minimum as in the released code."""
    kept = mask.double()[..., None]
    q, k, v = linear(layer_norm(x, state, "norm_attention") * kept, state, "qkv").chunk(3, dim=-1)
    both = mask[:, :, None] & mask[:, None, :]
    x = x + linear(attention(q, k, v, HEADS, both) * kept, state, "projection")
    return x + linear(gelu(linear(layer_norm(x, state, "norm_mlp") * kept, state, "expand")), state, "contract")


def aggregate(given: Tokens, chosen: Tensor, module: HierarchicalAggregation) -> tuple[Tensor, Tokens]:
    mask = torch.cat([torch.ones(BATCH, 1, dtype=torch.bool), chosen], dim=1)
    alone = {m: block(given[m] * mask[..., None], mask, part(module, f"independent.{m}.")) for m in RNT}
    joined, three = torch.cat([alone[R], alone[N], alone[T]], dim=1), torch.cat([mask] * 3, dim=1)
    joined = block(joined, three, part(module, "collaborative."))
    joined = layer_norm(joined, part(module), "norm") * three[..., None]
    length, blocks = 1 + PATCHES, []
    # Patches are counted where the sum of a row of the RGB sequence is not zero.
    count = (joined[:, 1:length].sum(-1) != 0).sum(1, keepdim=True)
    for place, m in enumerate((R, N, T)):
        sequence = joined[:, place * length : (place + 1) * length]
        pair = torch.cat([sequence[:, 0], sequence[:, 1:].sum(1) / count], dim=1)
        blocks.append(linear(pair, part(module, "reduce."), str(m)))
    return torch.cat(blocks, dim=1), {m: x[:, 0] for m, x in alone.items()}


def test_aggregation_equals_its_transcription() -> None:
    torch.manual_seed(0)
    module, given, chosen = HierarchicalAggregation(WIDTH, HEADS, RNT).double(), tokens(), selection()
    for place, parameter in enumerate(module.norm.parameters()):
        # As initialised, the norm makes every row sum to zero, which the released count takes for not selected.
        parameter.data = random(WIDTH, seed=place)
    found = module(given, chosen)
    feature, classes = aggregate(given, chosen, module)
    torch.testing.assert_close(found.feature, feature, rtol=1e-10, atol=1e-12)
    for m in RNT:
        torch.testing.assert_close(found.classes[m], classes[m], rtol=1e-10, atol=1e-12)


def test_tokens_that_were_not_selected_are_neither_read_nor_written() -> None:
    module, given, chosen = HierarchicalAggregation(WIDTH, HEADS, RNT).double(), tokens(), selection()
    other = {m: x.clone() for m, x in given.items()}
    for x in other.values():
        x[:, 1:][~chosen] = 100.0
    assert torch.equal(module(given, chosen).feature, module(other, chosen).feature)
    mask = torch.cat([torch.ones(BATCH, 1, dtype=torch.bool), chosen], dim=1)
    output = MaskedBlock(WIDTH, HEADS).double()(given[R] * mask[..., None], mask)
    assert torch.count_nonzero(output[~mask]) == 0
    assert torch.count_nonzero(output[mask]) == output[mask].numel()


def test_no_linear_layer_of_a_block_has_a_bias() -> None:
    names = [n for n in MaskedBlock(WIDTH, HEADS).state_dict() if n.endswith("bias")]
    assert names == ["norm_attention.bias", "norm_mlp.bias"]


def test_background_consistency_by_loops() -> None:
    given, chosen = tokens(), selection()
    total = 0.0
    for one, other in ((R, N), (R, T), (N, T)):
        for item in range(BATCH):
            for patch in range(PATCHES):
                if not chosen[item, patch]:
                    difference = given[one][item, 1 + patch] - given[other][item, 1 + patch]
                    total += float(difference.square().sum()) / (BATCH * PATCHES * WIDTH)
    assert background_consistency(given, chosen).item() == pytest.approx(total, rel=1e-5)
    assert background_consistency(given, torch.ones_like(chosen)).item() == 0


def test_object_centres_move_before_the_loss() -> None:
    """Two batches in loops; identities are unequally frequent and in no order."""
    module = ObjectCentres(identities=4, width=WIDTH, sensors=RNT)
    centres = {(m, i): torch.zeros(WIDTH, dtype=torch.float64) for m in RNT for i in range(4)}
    for step, identity in enumerate(([2, 0, 2, 0, 0], [2, 3, 3, 2, 2])):
        classes = {m: random(5, WIDTH, seed=10 * step + m.value) for m in RNT}
        total = 0.0
        for m in RNT:
            unit = [row / row.norm() for row in classes[m]]
            for i in set(identity):
                mean = torch.stack([u for u, label in zip(unit, identity, strict=True) if label == i]).mean(0)
                centres[m, i] = 0.8 * mean + 0.2 * centres[m, i]
            total += sum(
                float((centres[m, label] - u).square().sum()) / (5 * WIDTH)
                for u, label in zip(unit, identity, strict=True)
            )
        assert module(classes, torch.tensor(identity)).item() == pytest.approx(total, rel=1e-5)
    wanted = torch.stack([torch.stack([centres[m, i] for i in range(4)]) for m in RNT])
    torch.testing.assert_close(module.centres.double(), wanted, rtol=0, atol=1e-6)


def test_object_centres_have_no_gradient_and_their_features_do() -> None:
    module = ObjectCentres(identities=2, width=WIDTH, sensors=RNT)
    assert list(module.parameters()) == []
    classes = {m: x[:, 0].float().requires_grad_() for m, x in tokens().items()}
    loss = module(classes, torch.tensor([0, 1, 1]))
    # After the first batch a centre is 0.8 times the mean; with the centre fixed, the gradient by hand:
    unit = F.normalize(classes[R].detach(), dim=1)
    slope = 2 * (unit[0] - 0.8 * unit[0]) / unit.numel()
    wanted = (slope - (slope @ unit[0]) * unit[0]) / classes[R][0].detach().norm()
    (gradient,) = torch.autograd.grad(loss, [classes[R]])
    torch.testing.assert_close(gradient[0], wanted, rtol=0, atol=1e-7)
    assert gradient[1:].abs().sum() > 0
