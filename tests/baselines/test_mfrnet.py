"""MFRNet as a whole: all subsets against a transcription, what runs how often, what depends on the batch."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.mfrnet.balance import expert_balance, expert_shares
from baselines.mfrnet.card import CARD
from baselines.mfrnet.experts import SparseExperts, admitted
from baselines.mfrnet.method import MFRNet
from mdreid_bench.config.schema import RunConfig
from mdreid_bench.models.method import DataFacts, TrainingBatch
from protocols.modality import RNT, Modality, R, T, subsets
from tests.baselines.literal import layer_norm, linear, part
from tests.baselines.mfrnet_literal import MFRNetInWords, Mixture
from tests.support import FACTS, build, images, small_config, training_batch

CAMERAS = torch.tensor([0, 1, 2, 1])
SHARED = {"independent_experts": False}
RELEASED = SHARED | {"capacity": 1.0}
POOLED = {"global_local": True, "supervision": "separate"}


def mfrnet(options: dict[str, Any] | None = None, seed: int = 0) -> MFRNet:
    """Return a model of two blocks whose gates have an opinion."""
    method = build("mfrnet", {"options": options or {}, "trunk": {"layers": 2}}, seed)
    assert isinstance(method, MFRNet)
    for module in method.modules():
        if isinstance(module, SparseExperts):
            nn.init.normal_(module.gate.projection.weight)
            nn.init.normal_(module.gate.projection.shift)
    return method.eval()


def mixture(method: MFRNet, prefix: str, residual: bool) -> Mixture:
    s = part(method, prefix)
    names = ("gate.projection.weight", "gate.projection.shift", "gate.directions", "gate.temperature")
    layers = ("first.weight", "first.shift", "second.weight", "second.shift")
    experts = [(a, b, c, d) for a, b, c, d in zip(*(s[name] for name in layers), strict=True)]
    return Mixture([s[name] for name in names], experts, residual, method.options.capacity)


def in_words(method: MFRNet) -> MFRNetInWords:
    s = part(method)
    tower = part(method, "trunk.") | {"proj": s["trunk.projection"]}
    pairs = ("RN", "RT", "NR", "NT", "TR", "TN")
    weights = {p: tuple(s[f"generation.weights.{p[0]}2{p[1]}.{x}"] for x in ("weight", "shift")) for p in pairs}

    def pool(name: str, tokens: Tensor) -> Tensor:
        joined = layer_norm(torch.cat([tokens[:, 0], tokens[:, 1:].mean(1)], 1), s, f"pooled.{name}.norm")
        y = linear(joined, s, f"pooled.{name}.linear")
        return y * torch.sigmoid(1.702 * y)

    return MFRNetInWords(
        tower=tower,
        blocks="blocks",
        heads=method.trunk.blocks[0].attn.num_heads,
        depth=2,
        generate_a=mixture(method, "generation.generators.first.", False),
        generate_b=mixture(method, "generation.generators.second.", False),
        adapt=mixture(method, "trunk.adapters.", True),
        weights=weights,  # type: ignore[arg-type]
        pool=pool if method.options.global_local else None,
    )


@pytest.mark.parametrize("options", [{}, SHARED, RELEASED, RELEASED | POOLED, POOLED], ids=str)
def test_all_subsets_are_the_rows_of_the_table(options: dict[str, Any]) -> None:
    method, given = mfrnet(options), images(4)
    words = in_words(method)
    before = {str(m): method.trunk.assemble(x, CAMERAS).detach().double() for m, x in given.items()}
    found = method.embed_all(given, CAMERAS, subsets(RNT))
    for subset in subsets(RNT):
        wanted = F.normalize(words.feature(before, str(subset)), dim=1)
        torch.testing.assert_close(found[subset].double(), wanted, rtol=0, atol=1e-5)


def test_tokens_before_the_blocks_have_camera_and_position() -> None:
    method, given = mfrnet(), images(4)[R]
    s = part(method, "trunk.")
    patches = F.unfold(given.double(), 16, stride=16).transpose(1, 2) @ s["patch.weight"].flatten(1).T
    leading = s["class_token"] + s["camera"][CAMERAS]
    wanted = torch.cat([leading[:, None], patches], 1) + s["position"]
    torch.testing.assert_close(method.trunk.assemble(given, CAMERAS).double(), wanted, rtol=0, atol=1e-5)


def test_several_experts_are_used() -> None:
    method = mfrnet()
    seen = torch.cat([method.trunk.assemble(x, CAMERAS) for x in images(4).values()]).flatten(0, 1)
    for experts in method.generation.generators.values():
        assert isinstance(experts, SparseExperts)
        assert len(experts.gate(seen).argmax(1).unique()) == 3


def test_equal_experts_give_the_features_of_the_shared_one() -> None:
    shared, apart = mfrnet(SHARED), mfrnet()
    with torch.no_grad():
        own = apart.state_dict()
        apart.load_state_dict({name: value.expand_as(own[name]) for name, value in shared.state_dict().items()})
    found, wanted = (method.embed_all(images(4), CAMERAS, subsets(RNT)) for method in (apart, shared))
    for subset in subsets(RNT):
        torch.testing.assert_close(found[subset], wanted[subset], rtol=0, atol=1e-5)


@pytest.mark.parametrize("options", [{}, SHARED, POOLED], ids=str)
def test_a_batch_of_one_equals_a_batch_of_eight(options: dict[str, Any]) -> None:
    method, given, cameras = mfrnet(options), images(8), torch.arange(8) % 3
    together = method.embed_all(given, cameras, subsets(RNT))
    alone = method.embed_all({m: x[5:6] for m, x in given.items()}, cameras[5:6], subsets(RNT))
    for subset in subsets(RNT):
        torch.testing.assert_close(alone[subset][0], together[subset][5], rtol=0, atol=1e-6)


def test_a_limited_capacity_makes_features_depend_on_the_batch_and_is_declared() -> None:
    method, given = mfrnet(RELEASED), images(4)
    together = method.embed_all(given, CAMERAS, (RNT,))[RNT]
    alone = method.embed_all({m: x[:1] for m, x in given.items()}, CAMERAS[:1], (RNT,))[RNT]
    assert (together[0] - alone[0]).abs().max() > 1e-3
    assert CARD.batch_dependent(method.options.model_dump())
    assert not CARD.batch_dependent(CARD.options_model().model_dump())


def test_experts_take_their_share_in_the_order_of_the_gate_values() -> None:
    value, chosen = torch.tensor([0.5, 0.9, 0.5, 0.7, 0.6]), torch.tensor([0, 0, 0, 1, 0])
    assert admitted(value, chosen, 2, 1.0).tolist() == [True, True, False, True, True]
    assert admitted(value, chosen, 2, 0.4).tolist() == [False, True, False, True, False]
    assert admitted(value, chosen, 2, 2.0).all()
    assert (
        admitted(torch.full((4,), 0.5), torch.zeros(4, dtype=torch.long), 2, 1.0).tolist() == [True] * 2 + [False] * 2
    )


def test_patches_and_generators_run_once_and_the_blocks_seven_times() -> None:
    method = mfrnet()
    patches: list[int] = []
    generated: list[int] = []
    read: list[int] = []
    method.trunk.patch.register_forward_hook(lambda _, args, __: patches.append(len(args[0])))
    for experts in method.generation.generators.values():
        experts.register_forward_hook(lambda _, args, __: generated.append(len(args[0])))
    method.trunk.blocks[0].ln_1.register_forward_hook(lambda _, args, __: read.append(len(args[0])))
    method.embed_all(images(4), CAMERAS, subsets(RNT))
    assert (sum(patches), generated, sum(read)) == (12, [4] * 6, 7 * 12)


def test_experts_that_start_at_zero_train_their_last_biases_alone() -> None:
    method = mfrnet(RELEASED | {"expert_init": "zero"}).train()
    torch.stack(list(method.training_losses(training_batch()).values())).sum().backward()  # type: ignore[no-untyped-call]
    layers = (".first.weight", ".first.shift", ".second.weight", ".second.shift")
    gradients = {name: p.grad for name, p in method.named_parameters() if name.endswith(layers)}
    moved = {name for name, gradient in gradients.items() if gradient is not None and gradient.any()}
    assert moved == {
        "generation.generators.first.second.shift",
        "generation.generators.second.second.shift",
        "trunk.adapters.second.shift",
    }


def test_what_is_new_has_the_base_rate_biases_of_the_experts_too() -> None:
    method = mfrnet()
    pretrained = {id(p) for p in method.pretrained()}
    new = [name for name, p in method.named_parameters() if id(p) not in pretrained]
    assert {name for name in new if name.startswith("trunk.")} == {
        name for name, _ in method.named_parameters() if name.startswith(("trunk.adapters.", "trunk.camera"))
    }
    assert not [name for name in new if "bias" in name and not name.startswith(("supervision.", "pooled."))]


def test_the_balance_of_a_generator_is_that_of_its_last_pair() -> None:
    method, batch = mfrnet({"gate_noise": 0.0, "dropout": 0.0}).train(), training_batch()
    terms = method.training_losses(batch)
    assert set(terms) == {"identity", "triplet", "generator_balance", "adapter_balance"}
    assert isinstance(batch.camera, Tensor)
    wanted = 0.0
    for name, source in (("first", R), ("second", Modality.N)):
        tokens = part_of(method, batch, source)
        experts = method.generation.generators[name]
        assert isinstance(experts, SparseExperts)
        sums = experts.gate(tokens).softmax(1).sum(0)
        wanted += (sums.var() / sums.mean() ** 2).item()
    assert terms["generator_balance"].item() == pytest.approx(0.12 * wanted, rel=1e-5)


def part_of(method: MFRNet, batch: TrainingBatch, source: Modality) -> Tensor:
    assert isinstance(batch.camera, Tensor)
    return method.trunk.assemble(batch.images[source], batch.camera).flatten(0, 1)


def test_the_load_is_the_chance_to_be_chosen_under_other_noise() -> None:
    clean, noisy = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.5, 0.9]])
    importance, load = expert_shares(clean, noisy, noise=1.0)[:, 0]
    assert importance.tolist() == pytest.approx([0.731059, 0.268941], abs=1e-6)
    # Phi(2 * (0.731059 - 0.9)) and Phi(2 * (0.268941 - 0.9))
    assert load.tolist() == pytest.approx([0.367726, 0.103453], abs=1e-5)
    # importance: var 0.106776 / mean^2 0.25; load: var 0.034920 / mean^2 0.055502
    balance = expert_balance(torch.stack([importance, load])).item()
    assert balance == pytest.approx((0.427104 + 0.629161) / 2, abs=1e-5)


def test_two_sensors_are_enough_and_one_is_not() -> None:
    config: RunConfig = small_config("mfrnet", {"trunk": {"layers": 2}})
    torch.manual_seed(0)
    method = MFRNet.build(config, DataFacts(FACTS.identities, FACTS.cameras, R | T)).eval()
    given = {m: x for m, x in images(4).items() if m in R | T}
    vectors = method.embed_all(given, CAMERAS, subsets(R | T))
    assert {v.shape for v in vectors.values()} == {(4, 2 * method.trunk.width)}
    assert MFRNet.skip(DataFacts(5, 3, R)) == "it needs at least two sensors"
    assert MFRNet.skip(DataFacts(5, 3, R | T)) is None
