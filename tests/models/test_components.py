"""Specific and shared vectors by themselves: parts of the similarity, cut out of the vector of both."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from mdreid_bench.models.mdreid.card import Components
from mdreid_bench.models.mdreid.folding import fold_paper, keep_components
from protocols.modality import RNT, Modality, N, R, T, subsets
from tests.support import build, images

CAMERAS = torch.tensor([0, 1, 2])
PARTS = ("specific", "shared")


def _vectors(seed: int) -> dict[Modality, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {m: F.normalize(torch.randn(3, 5, generator=generator, dtype=torch.float64), dim=1) for m in RNT}


def _parts(query: Modality, gallery: Modality) -> dict[str, Tensor]:
    """Return the scores (3, 3) of one pair of subsets by what is compared; Q has seeds 0 and 1, G has 2 and 3."""
    q, g = fold_paper(_vectors(0), _vectors(1), query, RNT), fold_paper(_vectors(2), _vectors(3), gallery, RNT)
    names: tuple[Components, ...] = ("specific", "shared", "both")
    return {name: keep_components(q, name, "paper", RNT) @ keep_components(g, name, "paper", RNT).T for name in names}


@pytest.mark.parametrize("query", subsets(RNT), ids=str)
@pytest.mark.parametrize("gallery", subsets(RNT), ids=str)
def test_both_is_the_sum_of_the_two(query: Modality, gallery: Modality) -> None:
    scores = _parts(query, gallery)
    assert torch.allclose(scores["specific"] + scores["shared"], scores["both"], atol=1e-12)


def test_each_part_is_the_summand_of_the_paper() -> None:
    scores = _parts(R | T, N | T)
    sp_q, sh_q, sp_g, sh_g = (_vectors(seed) for seed in range(4))
    specific = sp_q[T] @ sp_g[T].T / 4
    shared = torch.stack([sh_q[i] @ sh_g[j].T for i in (R, T) for j in (N, T)]).sum(0) / 4
    assert torch.allclose(scores["specific"], specific / 2, atol=1e-12)
    assert torch.allclose(scores["shared"], shared / 2, atol=1e-12)


def test_specific_vectors_of_disjoint_sensors_never_meet() -> None:
    assert torch.count_nonzero(_parts(R, N | T)["specific"]) == 0


@pytest.mark.parametrize("similarity", ["paper", "released"])
@pytest.mark.parametrize("components", PARTS)
def test_derived_embeddings_equal_those_of_the_images(similarity: str, components: str) -> None:
    options = {"similarity": similarity, "components": components}
    part, both = (build("mdreid", {"options": {**options, "components": c}}).eval() for c in (components, "both"))
    wanted = part.embed_all(images(3), CAMERAS, subsets(RNT))
    stored = both.embed_all(images(3), CAMERAS, subsets(RNT))
    for subset in subsets(RNT):
        assert torch.allclose(part.derive(stored[subset], options, RNT), wanted[subset], atol=1e-6)


@pytest.mark.parametrize("components", PARTS)
def test_the_released_part_is_the_cosine_of_its_own_concatenation(components: str) -> None:
    method = build("mdreid", {"options": {"similarity": "released", "components": components}}).eval()
    encoded = method.encode(images(3), CAMERAS)
    joined = torch.cat([encoded[str(m)][:, PARTS.index(components)] for m in (R, N)], dim=1)
    found = method.embed(encoded, R | N)
    wanted = F.cosine_similarity(joined[:, None], joined[None], dim=-1)
    assert torch.allclose(found @ found.T, wanted, atol=1e-5)
