"""The contract of a method, each promise as a function of its registered name."""

import copy
import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from mdreid_bench.embedding.vectors import check_contract
from mdreid_bench.errors import DataError, UsageError
from mdreid_bench.models import registry
from mdreid_bench.models.backbone import Backbone
from mdreid_bench.models.method import Method
from mdreid_bench.models.trunk.inference_copy import inference_copy
from mdreid_bench.testing.samples import (
    FACTS,
    SIZE,
    build,
    cameras,
    images,
    place,
    small_config,
    training_batch,
    without_chance,
)
from mdreid_bench.weights import checkpoint
from protocols.modality import RNT, subsets

SUBSETS = subsets(RNT)


def card_names_the_entry_point(name: str) -> None:
    """The card has the name that is registered, a title, a paper and a summary."""
    card = registry.card(name)
    assert card.name == name, f"the card of {name} says {card.name}"
    assert all((card.title, card.paper, card.summary)), f"the card of {name} lacks a title, a paper or a summary"


def every_subset_embeds_to_one_width(name: str) -> None:
    """Vectors are finite fp32 numbers, as many for every subset of the sensors."""
    vectors = build(name).eval().embed_all(images(3), cameras(3), SUBSETS)
    shapes = {str(subset): tuple(vector.shape) for subset, vector in vectors.items()}
    assert len(set(shapes.values())) == 1, f"vectors differ in shape: {shapes}"
    for subset, vector in vectors.items():
        assert vector.dtype == torch.float32, f"vectors of {subset} are {vector.dtype}"
        assert torch.isfinite(vector).all(), f"vectors of {subset} are not finite"


def parts_that_are_kept_apart_are_a_vector_each(name: str) -> None:
    """Where a method declares parts, there are as many, with one ideal cosine for each pair."""
    method = build(name).eval()
    declared, encoded = method.decoupling(), method.encode(images(3), cameras(3))
    if declared is None:
        why = _refusal(partial(method.parts, encoded), UsageError)
        assert "keeps no parts" in why, "parts are returned, but decoupling names none"
        return
    count = len(declared.names)
    assert method.parts(encoded).shape[:2] == (3, count), f"{count} parts are named, others returned"
    assert len(set(declared.names)) == count, f"two parts have one name: {declared.names}"
    assert declared.ideal.shape == (count, count), f"{declared.ideal.shape} ideal cosines for {count} parts"
    assert (declared.ideal == declared.ideal.T).all(), "the ideal cosines are not symmetric"
    assert (declared.ideal.diagonal() == 1).all(), "a part is ideally unlike itself"


def absent_sensors_are_never_looked_at(name: str) -> None:
    """Other images of absent sensors change no bit of a vector."""
    method, clean, others = build(name).eval(), images(3, seed=0), images(3, seed=1)
    for subset in SUBSETS:
        mixed = {m: clean[m] if m in subset else others[m] for m in clean}
        wanted, found = (method.embed_all(shown, cameras(3), (subset,))[subset] for shown in (clean, mixed))
        assert torch.equal(found, wanted), f"the vector of {subset} depends on other sensors"


def only_present_images_are_needed(name: str) -> None:
    """A vector of a subset can be had without the images of other sensors."""
    method, everything = build(name).eval(), images(3)
    rounding = _rounding()
    for subset in SUBSETS:
        wanted = method.embed_all(everything, cameras(3), (subset,))[subset]
        found = method.embed_all({m: everything[m] for m in subset}, cameras(3), (subset,))[subset]
        assert torch.allclose(found, wanted, atol=rounding), f"the vector of {subset} needs other images to be there"


def batch_of_one_equals_batch_of_eight(name: str) -> None:
    """A vector does not depend on the other items of the batch."""
    method, batch, where = build(name).eval(), images(8), cameras()
    together, rounding = method.embed_all(batch, where, SUBSETS), _rounding()
    for row in range(8):
        own = slice(row, row + 1)
        alone = method.embed_all({m: x[own] for m, x in batch.items()}, where[own], SUBSETS)
        for subset in SUBSETS:
            alike = torch.allclose(alone[subset][0], together[subset][row], atol=rounding)
            assert alike, f"the vector of {subset} depends on the batch"


def what_run_tries_finds_nothing(name: str) -> None:
    """The check that ``run`` puts methods of other packages to passes, and leaves the method as it is."""
    method = build(name).eval()
    before = {entry: value.clone() for entry, value in method.state_dict().items()}
    check_contract(method, RNT, SIZE, device=place())
    changed = [entry for entry, value in method.state_dict().items() if not torch.equal(value, before[entry])]
    assert not changed, f"embedding changes {changed}"


def half_precision_embeds_too(name: str) -> None:
    """A copy whose weights are bf16 takes images in fp32 and gives finite vectors in fp32, as extraction asks for."""
    copied = inference_copy(build(name), place(), torch.bfloat16)
    for subset, vectors in copied.embed_all(images(3), cameras(3), SUBSETS).items():
        assert vectors.dtype == torch.float32, f"vectors of {subset} are {vectors.dtype} with weights in bf16"
        assert torch.isfinite(vectors).all(), f"vectors of {subset} are not finite with weights in bf16"


def losses_and_gradients_are_finite(name: str) -> None:
    """Every loss is one finite number, and every parameter has a finite gradient."""
    method = build(name).train()
    if not method.card.trains:
        return
    terms = method.training_losses(training_batch())
    assert terms, "there are no losses"
    assert all(term.ndim == 0 and math.isfinite(term.item()) for term in terms.values()), f"losses are {terms}"
    torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]
    trained = {n: p for n, p in method.named_parameters() if p.requires_grad}
    missing = [n for n, p in trained.items() if p.grad is None or not torch.isfinite(p.grad).all()]
    assert not missing, f"no finite gradient reaches {missing}"


def losses_need_only_what_is_represented_of_each_item(name: str) -> None:
    """A method that may take a batch apart has the same losses from its pieces."""
    if not registry.get(name).separable():
        return
    method, batch = build(name, {"options": without_chance(name)}).train(), training_batch()
    assert method.separable(), "the class says that it can take a batch apart, its object does not"
    wanted = copy.deepcopy(method).training_losses(batch)
    whole = method.represent(batch.images, batch.camera)
    alone = [method.represent(*batch.piece(slice(row, row + 1))) for row in range(8)]
    for entry, rows in whole.items():
        torch.testing.assert_close(torch.cat([one[entry] for one in alone]), rows, rtol=0, atol=1e-5)
    terms = method.losses(whole, batch.identity)
    assert list(terms) == list(wanted), f"losses are {list(terms)} and {list(wanted)}"
    for term_name, term in terms.items():
        assert torch.equal(term, wanted[term_name]), f"the loss {term_name} depends on how a batch is represented"


def cameras_may_be_those_of_each_sensor(name: str) -> None:
    """A method for unpaired images has equal losses where the cameras of all sensors are equal."""
    if not registry.card(name).unpaired:
        return
    method, batch = build(name, {"options": without_chance(name)}).train(), training_batch()
    assert isinstance(batch.camera, torch.Tensor)
    apart = replace(batch, camera=dict.fromkeys(batch.images, batch.camera))
    wanted, found = (copy.deepcopy(method).training_losses(one) for one in (batch, apart))
    for term, value in wanted.items():
        assert found[term].item() == value.item(), f"the loss {term} differs with cameras by sensor"


def items_that_lost_sensors_are_borne(name: str) -> None:
    """With ``partial`` on the card: the same terms, finite with their gradients, also of a sensor that nobody has."""
    if not registry.card(name).partial:
        return
    wanted, rows = set(build(name).train().training_losses(training_batch())), torch.arange(8, device=place())
    first, *others = RNT
    for lacking in (
        dict.fromkeys(others, rows % 2 == 0),
        dict.fromkeys(others, rows < 0),
        dict.fromkeys(others, rows == 3),
    ):
        method = build(name).train()
        terms = method.training_losses(replace(training_batch(), seen={first: rows >= 0, **lacking}))
        assert set(terms) == wanted, f"{name} has other terms where items lack sensors: {sorted(set(terms) ^ wanted)}"
        torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]
        found = [*terms.values(), *(p.grad for p in method.parameters() if p.grad is not None)]
        assert all(torch.isfinite(x).all() for x in found), (
            f"{name} is not finite where items lack {', '.join(map(str, others))}"
        )


def training_reduces_the_loss(name: str) -> None:
    """Twelve steps on one batch take at least a tenth of the loss away."""
    method = build(name).eval()
    if not method.card.trains:
        return
    method.train()
    optimizer = torch.optim.Adam(method.parameters(), lr=1e-3)
    losses = []
    for _ in range(12):
        loss = torch.stack(list(method.training_losses(training_batch()).values())).sum()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0], f"twelve steps bring the loss from {losses[0]:.4g} to {losses[-1]:.4g}"


def same_seed_same_numbers(name: str) -> None:
    """Weights and vectors follow from the seed."""
    first, second = (build(name, seed=3).eval().embed_all(images(2), cameras(2), SUBSETS) for _ in range(2))
    assert all(torch.equal(first[s], second[s]) for s in SUBSETS), "the same seed gives other vectors"


def weights_round_trip(name: str) -> None:
    """Weights that are saved and loaded give the vectors of those that were saved."""
    source, target = build(name, seed=1).eval(), build(name, seed=2).eval()
    before = target.embed_all(images(2), cameras(2), SUBSETS)
    with TemporaryDirectory() as folder:
        checkpoint.save_weights(Path(folder) / "w.safetensors", source, {})
        checkpoint.load_weights(Path(folder) / "w.safetensors", target)
    wanted, found = (one.embed_all(images(2), cameras(2), SUBSETS) for one in (source, target))
    assert all(torch.equal(found[s], wanted[s]) for s in SUBSETS), "weights that are loaded give other vectors"
    if source.card.trains:
        assert not torch.equal(before[RNT], found[RNT]), "vectors do not depend on the weights"


def weights_of_another_shape_are_refused(name: str) -> None:
    """Where weights have a shape that follows from the identities or the images, others do not fit."""
    if not registry.card(name).trains:
        return
    method, more = build(name), registry.get(name).build(small_config(name), replace(FACTS, identities=6))
    others = [more] if _shapes(more) != _shapes(method) else []
    if any(parameter.endswith("position") for parameter, _ in method.named_parameters()):
        others.append(build(name, {"image": {"size": [48, 48]}}))
    with TemporaryDirectory() as folder:
        checkpoint.save_weights(Path(folder) / "w.safetensors", method, {})
        for other in others:
            why = _refusal(partial(checkpoint.load_weights, Path(folder) / "w.safetensors", other), DataError)
            assert "does not fit" in why, "weights of another shape are loaded"


def every_backbone_is_listed(name: str) -> None:
    """``backbones`` returns every backbone, in the order of the modules."""
    method = build(name)
    listed = [id(module) for module in method.backbones()]
    assert listed == [id(module) for module in method.modules() if isinstance(module, Backbone)], (
        "backbones() does not return every Backbone, each once, in order"
    )
    assert {id(p) for p in method.pretrained()} <= {id(p) for p in method.parameters()}


def _rounding() -> float:
    """Return how far equal vectors may be apart; a GPU takes another kernel for another size."""
    return 1e-6 if place().type == "cpu" else 1e-5


def _refusal(attempt: Callable[[], object], kind: type[Exception]) -> str:
    """Return the sentence that an attempt is refused with, nothing where it is not."""
    try:
        attempt()
    except kind as error:
        return str(error)
    return ""


def _shapes(method: Method) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in method.state_dict().items()}


METHOD_CHECKS: tuple[Callable[[str], None], ...] = (
    card_names_the_entry_point,
    every_subset_embeds_to_one_width,
    parts_that_are_kept_apart_are_a_vector_each,
    absent_sensors_are_never_looked_at,
    only_present_images_are_needed,
    batch_of_one_equals_batch_of_eight,
    what_run_tries_finds_nothing,
    half_precision_embeds_too,
    losses_and_gradients_are_finite,
    losses_need_only_what_is_represented_of_each_item,
    cameras_may_be_those_of_each_sensor,
    items_that_lost_sensors_are_borne,
    training_reduces_the_loss,
    same_seed_same_numbers,
    weights_round_trip,
    weights_of_another_shape_are_refused,
    every_backbone_is_listed,
)
"""Call each with the registered name of a method."""
