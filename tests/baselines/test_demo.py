"""DeMo as a whole: what runs how often, what an absent sensor contributes, which rate a parameter has."""

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from baselines.demo.card import CARD
from baselines.demo.decoupling import SubsetReader
from baselines.demo.method import DeMo
from mdreid_bench.errors import UsageError
from protocols.modality import RNT, N, R, T, subsets
from tests.support import FACTS, build, images, training_batch

CAMERAS = torch.tensor([0, 1, 2, 1])


def demo(options: dict[str, Any] | None = None) -> DeMo:
    method = build("demo", {"options": options or {}, "trunk": {"layers": 2}})
    assert isinstance(method, DeMo)
    return method.eval()


def test_the_trunk_runs_once_per_image_for_the_whole_grid() -> None:
    method = demo()
    seen: list[int] = []
    method.trunk.patch.register_forward_hook(lambda _, args, __: seen.append(len(args[0])))
    method.embed_all(images(4), CAMERAS, subsets(RNT))
    assert sorted(seen) == [FACTS.cameras, 12]
    seen.clear()
    method.embed_all(images(4), CAMERAS, subsets(RNT))
    assert seen == [12]


def test_a_reader_is_a_multi_head_attention_with_one_query() -> None:
    torch.manual_seed(0)
    reader, tokens = SubsetReader(32, 0.0), torch.randn(3, 7, 32)
    torch.nn.init.normal_(reader.attention.in_proj_bias)
    torch.nn.init.normal_(reader.attention.out_proj.bias)
    keys = tokens.transpose(0, 1)
    wanted, _ = reader.attention(reader.query.expand(1, 3, -1), keys, keys)
    torch.testing.assert_close(reader(tokens), wanted[0], rtol=0, atol=1e-6)


def test_absent_sensors_contribute_what_the_camera_alone_decides() -> None:
    method = demo()
    vectors = method.embed_all(images(4), CAMERAS, (R,))[R].view(4, 10, method.options.heads, -1)
    constant = [1, 2, 3 + subsets(RNT).index(N), 3 + subsets(RNT).index(T), 3 + subsets(RNT).index(N | T)]
    directions = F.normalize(vectors, dim=3)  # the gate and the length of the whole scale each part of a head
    for block in range(10):
        same = torch.allclose(directions[1, block], directions[3, block], atol=1e-6)
        assert same == (block in constant), block
    left_out = demo({"missing": "left_out"}).embed_all(images(4), CAMERAS, (R,))[R].view(4, 10, -1)
    assert [block for block in range(10) if not left_out[:, block].any()] == constant


def test_without_them_items_without_a_common_sensor_share_blocks_of_common_subsets_alone() -> None:
    method = demo({"missing": "left_out"})
    found = method.embed_all(images(4), CAMERAS, (R, N))
    both = [block for block in range(10) if all(v.view(4, 10, -1)[:, block].any() for v in found.values())]
    assert both == [3 + subsets(RNT).index(subset) for subset in subsets(RNT) if R in subset and N in subset]


@pytest.mark.parametrize("feature", ["ori", "moe"])
def test_parts_are_derived_from_the_whole(feature: str) -> None:
    whole = demo().embed_all(images(4), CAMERAS, subsets(RNT))
    alone = demo({"feature": feature}).embed_all(images(4), CAMERAS, subsets(RNT))
    for subset in subsets(RNT):
        derived = DeMo.derive(whole[subset], {"feature": feature}, RNT)
        np.testing.assert_allclose(derived, alone[subset], atol=1e-6)
    assert CARD.derived_from == {"feature": "both"}


def test_absent_images_follow_the_weights() -> None:
    method, other = demo(), build("demo", {"trunk": {"layers": 2}}, seed=5).eval()
    first = method.embed_all({R: images(4)[R]}, CAMERAS, (R,))[R]
    method.load_state_dict(other.state_dict())
    second = method.embed_all({R: images(4)[R]}, CAMERAS, (R,))[R]
    assert not torch.equal(first, second)
    assert torch.equal(second, other.embed_all({R: images(4)[R]}, CAMERAS, (R,))[R])


@pytest.mark.parametrize(("kind", "heads"), [("joint", {"all": 384}), ("separate", dict.fromkeys("RNT", 128))])
def test_two_kinds_of_features_are_supervised(kind: str, heads: dict[str, int]) -> None:
    method = demo({"supervision": kind})
    widths = {n: m.norm.num_features for n, m in method.supervision.heads.items()}  # type: ignore[union-attr]
    assert widths == heads
    assert method.head.norm.num_features == 7 * 128
    terms = method.train().training_losses(training_batch())
    assert set(terms) == {"identity", "triplet", "pooled_identity", "pooled_triplet"}


def test_the_tower_has_its_own_rate_and_nothing_else() -> None:
    method = demo()
    names = {id(p): name for name, p in method.named_parameters()}
    pretrained = {names[id(p)] for p in method.pretrained()}
    assert pretrained == {n for n in names.values() if n.startswith("trunk.") and n != "trunk.camera"}


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    with pytest.raises(UsageError, match=r"128 outputs of the trunk mdreid-tiny cannot be divided into 5 heads"):
        demo({"heads": 5})
