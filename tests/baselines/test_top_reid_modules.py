"""Token permutation and reconstruction transcribed from docs/methods/top-reid.md, token by token."""

import torch
from torch import Tensor

from baselines.top_reid.permutation import RotationBlock, TokenPermutation
from baselines.top_reid.reconstruction import Reconstruction, pairs
from protocols.modality import RNT, Modality, N, R, T
from tests.baselines.literal import State, attention, gelu, layer_norm, linear, part, random

WIDTH, HEADS = 12, 3
Tokens = dict[Modality, Tensor]


def tokens(seed: int = 0, batch: int = 2, patches: int = 5) -> Tokens:
    return {m: random(batch, 1 + patches, WIDTH, seed=10 * seed + m.value) for m in RNT}


def rotate(state: State, q: Tensor, y: Tensor) -> Tensor:
    """Write one rotation block out: a = CrossAttn(LN1(q), Y), q' = q + a, q'' = q' + MLP(LN2(q'))."""
    query = linear(layer_norm(q, state, "norm_query"), state, "query")
    key = linear(layer_norm(y, state, "norm_keys"), state, "key")
    value = linear(y, state, "value")
    q = q + linear(attention(query[:, None], key, value, HEADS)[:, 0], state, "projection")
    return q + linear(gelu(linear(layer_norm(q, state, "norm_mlp"), state, "mlp.0")), state, "mlp.2")


def test_a_rotation_block_equals_plain_cross_attention() -> None:
    torch.manual_seed(1)
    block = RotationBlock(WIDTH, HEADS).double()
    token, patches = random(4, WIDTH), random(4, 7, WIDTH, seed=1)
    torch.testing.assert_close(block(token, patches), rotate(part(block), token, patches), rtol=1e-10, atol=1e-12)


def test_the_three_steps_read_the_spectra_in_turn() -> None:
    torch.manual_seed(2)
    module, given = TokenPermutation(WIDTH, HEADS, RNT).double(), tokens()
    start, middle, end = (part(module, f"blocks.{step}.") for step in range(3))
    (r, n, t), (pr, pn, pt) = ([given[m][:, k] for m in RNT] for k in (0, slice(1, None)))
    r, n, t = rotate(start, r, pn), rotate(start, n, pt), rotate(start, t, pr)
    r, n, t = rotate(middle, r, pt), rotate(middle, n, pr), rotate(middle, t, pn)
    r, n, t = rotate(end, r, pr), rotate(end, n, pn), rotate(end, t, pt)
    torch.testing.assert_close(module(given), torch.cat([r, n, t], dim=1), rtol=1e-10, atol=1e-12)


def predict(state: State, x: Tensor) -> Tensor:
    """Write one reconstruction block out: x + Attn(LN(x)), then + MLP(LN(x))."""
    q, k, v = linear(layer_norm(x, state, "norm_attention"), state, "qkv").chunk(3, dim=-1)
    x = x + linear(attention(q, k, v, HEADS), state, "projection")
    return x + linear(gelu(linear(layer_norm(x, state, "norm_mlp"), state, "mlp.0")), state, "mlp.2")


def test_reconstruction_sums_the_errors_of_six_pairs() -> None:
    torch.manual_seed(3)
    module, given = Reconstruction(WIDTH, HEADS, RNT).double(), tokens(seed=1)
    assert module.pairs == pairs(RNT) == ((R, N), (R, T), (N, R), (N, T), (T, R), (T, N))
    total = 0.0
    for source, target in pairs(RNT):
        found = module.predict(given[source], source, target)
        wanted = predict(part(module, f"blocks.{source}2{target}."), given[source])
        torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-12)
        total += float((wanted - given[target]).square().mean())
    assert abs(module(given).item() - total) < 1e-5 * total  # the errors are taken in float32


def test_the_reconstruction_loss_reaches_source_and_target() -> None:
    module = Reconstruction(WIDTH, HEADS, RNT)
    given = {m: x.float().requires_grad_() for m, x in tokens().items()}
    gradients = torch.autograd.grad(module(given), list(given.values()))
    assert all(torch.isfinite(g).all() and g.abs().sum() > 0 for g in gradients)
    for block in module.blocks.values():
        block.register_forward_hook(lambda _, __, output: output.detach())
    as_targets = torch.autograd.grad(module(given), list(given.values()))
    assert all(g.abs().sum() > 0 for g in as_targets)


def test_no_bias_where_the_released_code_has_none() -> None:
    names = {*RotationBlock(WIDTH, HEADS).state_dict(), *Reconstruction(WIDTH, HEADS, RNT).state_dict()}
    assert not {"query.bias", "key.bias", "value.bias", "blocks.R2N.qkv.bias"} & names
    assert {"projection.bias", "mlp.0.bias", "blocks.R2N.projection.bias"} <= names
