"""The released comparison of two subsets, block by block as docs/methods/mdreid.md has it."""

import numpy as np
import pytest

from mdreid_bench.errors import UsageError
from mdreid_bench.models import registry
from mdreid_bench.models.card import Vectors
from mdreid_bench.models.mdreid.pairing import ReleasedPairing, released_pairing
from protocols.mixed import MixedAvailability
from protocols.modality import RNT, Modality
from protocols.protocol import Protocol, protocols_of

NAMES = [f"{kind}{m}" for kind in ("sp", "sh") for m in RNT]
WIDTH = 3


def stored(subset: Modality, count: int, seed: int) -> Vectors:
    """Embeddings as they are stored with ``similarity=released``."""
    vectors = np.random.default_rng(seed).standard_normal((count, 6 * WIDTH)).astype(np.float32)
    for place, name in enumerate(NAMES):
        if Modality.parse(name[-1]) not in subset:
            vectors[:, place * WIDTH : (place + 1) * WIDTH] = 0
    result: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return result


def joined(vectors: Vectors, names: str) -> Vectors:
    """The named blocks side by side, of unit length."""
    blocks = [vectors[:, NAMES.index(n) * WIDTH : (NAMES.index(n) + 1) * WIDTH] for n in names.split()]
    together = np.concatenate(blocks, axis=1)
    result: Vectors = together / np.linalg.norm(together, axis=1, keepdims=True)
    return result


@pytest.mark.parametrize(
    ("protocol", "query", "gallery"),
    [
        # the paper's four
        ("RT-to-NT", "spT shR shT", "spT shN shT"),
        ("RT-to-N", "shR shT", "shN shN"),
        ("R-to-N", "shR", "shN"),
        ("R-to-NT", "shR shR", "shN shT"),
        # others that the released code can do
        ("RT-to-RN", "spR shR shT", "spR shR shN"),
        ("RT-to-R", "spR shR shT", "spR shR shR"),
        # where it drops the common NIR vector, pairs different sensors or fails
        ("RN-to-NT", "spN shR shN", "spN shN shT"),
        ("RT-to-T", "spT shR shT", "spT shT shT"),
        ("T-to-RT", "spT shT shT", "spT shR shT"),
        ("RNT-to-R", "spR shR shN shT", "spR shR shR shR"),
        ("RNT-to-RN", "spR spN shR shN shT", "spR spN shR shN shN"),
        ("RNT-to-RNT", "spR spN spT shR shN shT", "spR spN spT shR shN shT"),
    ],
)
def test_blocks_are_compared_as_tabulated(protocol: str, query: str, gallery: str) -> None:
    setting = Protocol.parse(protocol)
    one, other = stored(setting.query, 4, 0), stored(setting.gallery, 5, 1)
    left, right = ReleasedPairing(RNT)(setting, one, other)
    np.testing.assert_allclose(left @ right.T, joined(one, query) @ joined(other, gallery).T, atol=1e-6)


@pytest.mark.parametrize("protocol", [p for p in protocols_of(RNT) if p.matched], ids=str)
def test_matched_settings_are_the_cosine_of_the_concatenation(protocol: Protocol) -> None:
    one, other = stored(protocol.query, 4, 2), stored(protocol.gallery, 5, 3)
    left, right = ReleasedPairing(RNT)(protocol, one, other)
    np.testing.assert_allclose(left @ right.T, one @ other.T, atol=1e-6)


@pytest.mark.parametrize("protocol", protocols_of(RNT), ids=str)
def test_every_setting_is_symmetric_and_ignores_the_scale(protocol: Protocol) -> None:
    one, other = stored(protocol.query, 3, 4), stored(protocol.gallery, 3, 5)
    left, right = ReleasedPairing(RNT)(protocol, one, 7 * other)
    back = ReleasedPairing(RNT)(Protocol(protocol.gallery, protocol.query), other, one)
    np.testing.assert_allclose(left @ right.T, (back[0] @ back[1].T).T, atol=1e-6)


def test_kinds_can_be_left_out() -> None:
    setting = Protocol.parse("RT-to-NT")
    one, other = stored(setting.query, 4, 6), stored(setting.gallery, 5, 7)
    half = 3 * WIDTH
    left, right = ReleasedPairing(RNT, shared=False)(setting, one[:, :half], other[:, :half])
    np.testing.assert_allclose(left @ right.T, joined(one, "spT") @ joined(other, "spT").T, atol=1e-6)
    left, right = ReleasedPairing(RNT, specific=False)(setting, one[:, half:], other[:, half:])
    np.testing.assert_allclose(left @ right.T, joined(one, "shR shT") @ joined(other, "shN shT").T, atol=1e-6)
    nothing = ReleasedPairing(RNT, shared=False)(Protocol.parse("R-to-N"), one[:, :half], other[:, :half])
    assert not (nothing[0] @ nothing[1].T).any()


def test_mixed_availability_is_refused() -> None:
    with pytest.raises(UsageError, match=r"options\.similarity=paper"):
        ReleasedPairing(RNT)(MixedAvailability(), stored(next(iter(RNT)), 1, 0), stored(next(iter(RNT)), 1, 0))


def test_only_mdreid_in_the_released_form_asks_for_it() -> None:
    released = {"similarity": "released", "components": "both"}
    assert released_pairing(released, RNT) == ReleasedPairing(RNT)
    assert released_pairing(released | {"components": "shared"}, RNT) == ReleasedPairing(RNT, specific=False)
    assert released_pairing(released | {"similarity": "paper"}, RNT) is None
    others = [card for name, card in registry.cards().items() if name != "mdreid"]
    assert not any(isinstance(card.comparison(released, RNT), ReleasedPairing) for card in others)
