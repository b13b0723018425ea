"""The two methods without training: zero-shot CLIP and the random scorer."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from baselines.clip_zero_shot import CLIPZeroShot
from mdreid_bench.errors import UsageError
from protocols.chance import chance
from protocols.evaluation import evaluate
from protocols.exclusion import Exclusion, Labels
from protocols.modality import RNT, N, R, subsets
from protocols.ranking import rank_embeddings
from tests.support import build, images, training_batch

CAMERAS = torch.tensor([0, 1, 2])


def test_zero_shot_is_the_mean_of_unit_image_embeddings() -> None:
    method = build("clip-zero-shot").eval()
    assert isinstance(method, CLIPZeroShot)
    assert not any(p.requires_grad for p in method.parameters())
    given = images(3)
    with torch.no_grad():
        parts = {m: F.normalize(method.trunk(given[m], torch.zeros(3, dtype=torch.int64))[:, 0]) for m in RNT}
    vectors = method.embed_all(given, CAMERAS, subsets(RNT))
    for subset in subsets(RNT):
        wanted = F.normalize(sum((parts[m] for m in subset), torch.zeros(())) / len(subset))
        torch.testing.assert_close(vectors[subset], wanted, rtol=0, atol=1e-6)


def test_zero_shot_does_not_know_the_camera() -> None:
    method = build("clip-zero-shot").eval()
    assert isinstance(method, CLIPZeroShot)
    assert torch.count_nonzero(method.trunk.camera) == 0
    one, other = (method.embed_all(images(3), camera, (R,))[R] for camera in (CAMERAS, CAMERAS.flip(0)))
    assert torch.equal(one, other)


@pytest.mark.parametrize("name", ["clip-zero-shot", "random"])
def test_there_is_nothing_to_train(name: str) -> None:
    with pytest.raises(UsageError, match=f"{name} has nothing to train"):
        build(name).training_losses(training_batch())


def directions(given: Tensor, seed: int = 0) -> Tensor:
    return build("random", seed=seed).embed_all({R: given}, torch.zeros(len(given), dtype=torch.int64), (R,))[R]


def test_random_directions_depend_on_every_pixel_and_on_nothing_else() -> None:
    given = images(2, size=(16, 16))[R]
    given[1] = given[0]
    assert torch.equal(*directions(given))
    given[1, 2, 15, 15] += 1e-6
    first, second = directions(given)
    assert abs(float(first @ second)) < 0.6
    assert not torch.equal(directions(given), directions(given, seed=1))


def test_random_directions_of_the_subsets_of_an_item_are_unrelated() -> None:
    same = images(200, size=(4, 4))[R]
    vectors = build("random").embed_all({R: same, N: same}, torch.zeros(200, dtype=torch.int64), (R, N, R | N))
    for one, other in ((R, N), (R, R | N)):
        cosines = (vectors[one] * vectors[other]).sum(1)
        assert abs(cosines.mean().item()) < 4 / (64 * 200) ** 0.5
        assert cosines.std().item() == pytest.approx(64**-0.5, rel=0.25)


def test_the_random_scorer_scores_at_chance() -> None:
    """Over 12 seeds, on images of one identity that differ by little noise; neither ties nor similarity show."""
    identity = np.repeat(np.arange(12), 10)
    labels = Labels(identity, np.arange(120) % 5, np.zeros(120, dtype=np.int64))
    bases = images(12, size=(4, 4))[R].repeat_interleave(10, dim=0)
    given = bases + 1e-3 * images(120, seed=1, size=(4, 4))[R]
    found = []
    for seed in range(12):
        vectors = directions(given, seed).numpy()
        per_query = evaluate(rank_embeddings(vectors, vectors, labels, labels, Exclusion.CAMERA))
        assert per_query.tied_positives.sum() == 0
        summary = per_query.summary()
        found.append((summary.mAP, summary.rank1))
    expected = chance(per_query.positives, per_query.items).summary()
    error = np.std(found, axis=0) / np.sqrt(len(found))
    assert (np.abs(np.mean(found, axis=0) - [expected.mAP, expected.rank1]) < 4 * error).all()
    assert (error < 0.01).all()
