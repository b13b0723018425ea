"""The single inner product against the double sums of the paper (Eq. 6-10)."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from mdreid_bench.models.mdreid.folding import fold_paper, fold_released
from protocols.modality import RNT, Modality, N, R, subsets
from protocols.protocol import Protocol, protocols_of
from tests.support import build, images

Vectors = dict[Modality, Tensor]


def _vectors(seed: int, count: int) -> tuple[Vectors, Vectors]:
    generator = torch.Generator().manual_seed(seed)

    def draw() -> Vectors:
        return {m: torch.randn(count, 6, generator=generator, dtype=torch.float64) for m in RNT}

    return draw(), draw()


def _naive(query: tuple[Vectors, Vectors], gallery: tuple[Vectors, Vectors], i: int, j: int, p: Protocol) -> float:
    """Write Sim_total of one pair out as the paper does, with unit vectors."""

    def cosine(kind: int, a: Modality, b: Modality) -> float:
        return float(F.cosine_similarity(query[kind][a][i], gallery[kind][b][j], dim=0))

    size = len(p.query) * len(p.gallery)
    specific = sum(cosine(0, m, m) for m in RNT if m in p.query and m in p.gallery)
    shared = sum(cosine(1, a, b) for a in p.query for b in p.gallery)
    return (specific / size + shared / size) / 2


@pytest.mark.parametrize("protocol", protocols_of(RNT), ids=str)
def test_fold_equals_the_double_sum(protocol: Protocol) -> None:
    query, gallery = _vectors(0, 3), _vectors(1, 4)
    scores = fold_paper(*query, protocol.query, RNT) @ fold_paper(*gallery, protocol.gallery, RNT).T
    for i in range(3):
        for j in range(4):
            assert scores[i, j].item() == pytest.approx(_naive(query, gallery, i, j, protocol), abs=1e-6)


def test_mixed_gallery_equals_the_double_sum_item_by_item() -> None:
    query, gallery = _vectors(2, 7), _vectors(3, 7)
    folded = [fold_paper(*gallery, s, RNT)[j] for j, s in enumerate(subsets(RNT))]
    for i, wanted in enumerate(subsets(RNT)):
        for j, offered in enumerate(subsets(RNT)):
            found = float(fold_paper(*query, wanted, RNT)[i] @ folded[j])
            assert found == pytest.approx(_naive(query, gallery, i, j, Protocol(wanted, offered)), abs=1e-6)


@pytest.mark.parametrize("subset", subsets(RNT), ids=str)
def test_released_form_is_the_cosine_of_the_concatenation(subset: Modality) -> None:
    query, gallery = _vectors(4, 3), _vectors(5, 3)
    joined = [torch.cat([v[m] for v in side for m in subset], dim=1) for side in (query, gallery)]
    wanted = F.cosine_similarity(joined[0][:, None], joined[1][None], dim=-1)
    found = fold_released(*query, subset, RNT) @ fold_released(*gallery, subset, RNT).T
    assert torch.allclose(found, wanted, atol=1e-9)


def test_equal_pixels_make_the_shared_similarity_blind_to_the_sensor() -> None:
    """When all sensors deliver the same image, R-to-N must score as R-to-R does."""
    method = build("mdreid").eval()
    same = images(4)[R]
    camera = torch.zeros(4, dtype=torch.int64)
    encoded = method.encode(dict.fromkeys(tuple(RNT), same), camera)
    width = encoded["R"].shape[-1]
    shared = {s: method.embed(encoded, s)[:, 3 * width :] for s in (R, N)}
    assert torch.equal(shared[R] @ shared[N].T, shared[R] @ shared[R].T)
    assert not torch.allclose(shared[R] @ shared[R].T, torch.zeros(4, 4))
