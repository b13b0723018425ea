"""Every method on the card: its contract, its vectors and a training step in each precision, against the CPU."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch.nn import functional as F

from mdreid_bench.config.schema import PRECISIONS, Precision
from mdreid_bench.models import registry
from mdreid_bench.models.method import TrainingBatch
from mdreid_bench.models.trunk.inference_copy import inference_copy
from mdreid_bench.processes.device import DTYPES
from mdreid_bench.processes.ranks import ALONE
from mdreid_bench.testing import METHOD_CHECKS
from mdreid_bench.testing.samples import cameras, tried_on
from mdreid_bench.training.forward import Forward
from mdreid_bench.training.optimiser import build_optimizer
from protocols.modality import RNT, subsets
from tests.gpu.frame import Bench, Check, Line, required
from tests.support import build, images, small_config, training_batch, without_chance, without_near_ties

SUBSETS = subsets(RNT)
COSINE: dict[Precision, float] = {"fp32": 0.99999, "fp16": 0.999, "bf16": 0.99}
"""Smallest cosine between the vector of an item and that of the CPU in fp32."""
LOSS: dict[Precision, float] = {"fp32": 0.0001, "fp16": 0.002, "bf16": 0.01}
"""Largest difference of the loss from that of the CPU in fp32, as a share of it."""
ATTEMPTS = 12
"""Steps in which the loss scale of half precision, which begins at 65536, must have become small enough."""


def checks(names: Sequence[str]) -> list[tuple[str, Check]]:
    """Return the checks of some methods, of all registered ones without any."""
    found: list[tuple[str, Check]] = []
    for name in names or registry.names():
        found.append((f"contract of {name}", partial(contract, name)))
        for precision in PRECISIONS:
            found.append((f"vectors of {name}, {precision}", partial(vectors, name, precision)))
            if registry.card(name).trains:
                found.append((f"training step of {name}, {precision}", partial(step, name, precision)))
    return found


def contract(name: str, bench: Bench) -> Iterable[Line]:
    """Put a method through the checks that plug-ins are put through, on the device and in fp32."""
    broken = []
    for check in METHOD_CHECKS:
        try:
            with tried_on(bench.device):
                check(name)
        except Exception as error:
            broken.append(f"{check.__name__.replace('_', ' ')}: {str(error).partition(chr(10))[0]}")
    kept = len(METHOD_CHECKS) - len(broken)
    shown = "; ".join([f"{kept} of {len(METHOD_CHECKS)} kept", *broken])
    yield Line(f"contract of {name}, fp32", shown, "all kept", "FAIL" if broken else "pass")


def vectors(name: str, precision: Precision, bench: Bench) -> Iterable[Line]:
    """Compare the vectors of eight items with those of the CPU, and look whether absent sensors matter."""
    options = {"options": without_chance(name) | without_near_ties(name)}
    method, pictures, others = build(name, options).eval(), images(8), images(8, seed=1)
    exact = method.embed_all(pictures, cameras(), SUBSETS)
    copied, where = inference_copy(method, bench.device, DTYPES[precision]), cameras().to(bench.device)
    there, elsewhere = ({m: x.to(bench.device) for m, x in shown.items()} for shown in (pictures, others))
    found = copied.embed_all(there, where, SUBSETS)
    assert all(x.dtype == torch.float32 for x in found.values()), "vectors must be fp32"
    smallest = min(F.cosine_similarity(exact[s], found[s].cpu()).min().item() for s in SUBSETS)
    for subset in SUBSETS:
        mixed = {m: there[m] if m in subset else elsewhere[m] for m in there}
        again = copied.embed_all(mixed, where, (subset,))[subset]
        alone = copied.embed_all(there, where, (subset,))[subset]
        assert torch.equal(again, alone), f"the vector of {subset} depends on other sensors"
    what = f"vectors of {name}, {precision}: smallest cosine to those of the CPU in fp32"
    yield required(what, smallest, COSINE[precision], least=True)


def step(name: str, precision: Precision, bench: Bench) -> Iterable[Line]:
    """Take a training step, and compare its loss with that of the CPU."""
    options = {"options": without_chance(name) | without_near_ties(name)}
    batch, config = training_batch(), small_config(name, options)
    wanted = torch.stack(list(build(name, options).train().training_losses(batch).values())).sum().item()
    method, batch = build(name, options).to(bench.device).train(), _moved(batch, bench.device)
    forward, optimizer = Forward(method, config, precision, ALONE), build_optimizer(method, config)
    scaler = torch.amp.GradScaler(bench.device.type, enabled=precision == "fp16")
    before = [p.detach().clone() for p in method.parameters()]
    losses: list[float] = []
    while len(losses) < ATTEMPTS and all(map(torch.equal, before, method.parameters())):
        total = torch.stack(list(forward(batch).values())).sum()
        losses.append(total.item())
        optimizer.zero_grad(set_to_none=True)
        scaler.scale(total).backward()  # type: ignore[no-untyped-call]
        scaler.step(optimizer)
        scaler.update()
    assert len(losses) < ATTEMPTS, f"no finite step in {ATTEMPTS} attempts"
    assert all(bool(torch.isfinite(p).all()) for p in method.parameters()), "weights are not finite after a step"
    what = f"training step of {name}, {precision}: loss against that of the CPU in fp32"
    yield required(what, abs(losses[0] - wanted) / abs(wanted), LOSS[precision], "of it")


def _moved(batch: TrainingBatch, device: torch.device) -> TrainingBatch:
    assert isinstance(batch.camera, torch.Tensor)
    there = {m: x.to(device) for m, x in batch.images.items()}
    return replace(batch, images=there, identity=batch.identity.to(device), camera=batch.camera.to(device))
