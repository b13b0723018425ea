"""What could be on or off, timed by turns: the way of the images to the card, their layout, TF32, compilation."""

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from mdreid_bench.data.transforms import normalised
from mdreid_bench.models.method import Images, Method
from mdreid_bench.models.trunk.inference_copy import inference_copy
from protocols.modality import RNT, Modality, subsets
from tests.benchmarks.paper_trunk import cameras, configure, pictures
from tests.benchmarks.steps import Step
from tests.gpu.frame import Bench, Check, Line, chosen

AHEAD = 4
"""Batches that are handed over one after the other."""


def checks() -> Sequence[tuple[str, Check]]:
    """Return the checks of choices that are made once for all."""
    return (("hand-over of images", images), ("layout of images", layout), ("TF32", tf32), ("CUDA graph", graph))


def compiled() -> Sequence[tuple[str, Check]]:
    """Return the checks that wait for a compiler."""
    return (("compiled extraction", compiled_extraction), ("compiled training step", compiled_step))


def _embedding(bench: Bench, dtype: torch.dtype, **how: bool) -> Callable[[], dict[Modality, Tensor]]:
    """Return the embedding of a batch that is on the card already, as a piece of work."""
    method = inference_copy(bench.untrained(), bench.device, dtype, **how)
    shown, where = _batch(bench)
    return lambda: method.embed_all(shown, where, subsets(RNT))


def _batch(bench: Bench) -> tuple[Images, Tensor]:
    count, size = bench.sizes.batch, configure("mdreid", bench.sizes.preset).image_size
    return pictures(count, bench.device, size), cameras(count, bench.device)


def images(bench: Bench) -> Iterable[Line]:
    """Hand over the pixels of a batch: from locked memory or not, waiting or not, with 8 bits or 32."""
    count, config = bench.sizes.batch, configure("mdreid", bench.sizes.preset)
    pixels = torch.randint(256, (len(RNT), count, 3, *config.image_size), dtype=torch.uint8)
    floats, device = normalised(pixels, config.image), bench.device
    if device.type == "cuda":
        locked, wide = pixels.pin_memory(), floats.pin_memory()
    else:
        locked, wide = pixels, floats
    times = bench.turns(
        {"pinned": lambda: locked.to(device, non_blocking=True), "pageable": lambda: pixels.to(device)}
    )
    yield chosen("memory of a batch that is handed over", times, "pinned")
    method, where = inference_copy(bench.untrained(), device, torch.bfloat16), cameras(count, device)

    def passed(*, non_blocking: bool) -> None:
        for _ in range(AHEAD):
            there = normalised(locked.to(device, non_blocking=non_blocking), config.image)
            method.embed_all(dict(zip(RNT, there, strict=True)), where, subsets(RNT))

    times = bench.turns(
        {"non-blocking": lambda: passed(non_blocking=True), "blocking": lambda: passed(non_blocking=False)}
    )
    yield chosen(f"{AHEAD} batches handed over and embedded", times, "non-blocking")
    times = bench.turns(
        {
            "8 bits, normalised there": lambda: normalised(locked.to(device, non_blocking=True), config.image),
            "32 bits, normalised before": lambda: wide.to(device, non_blocking=True),
        }
    )
    yield chosen("type of the pixels that are handed over", times, "8 bits, normalised there")


def layout(bench: Bench) -> Iterable[Line]:
    """Let the convolution of the patches have images with the channels last, against the layout in use."""
    plain, last = (inference_copy(bench.untrained(), bench.device, torch.bfloat16) for _ in range(2))
    last.to(memory_format=torch.channels_last)
    shown, where = _batch(bench)
    turned = {m: x.contiguous(memory_format=torch.channels_last) for m, x in shown.items()}

    def embed(method: Method, given: Images) -> None:
        method.embed_all(given, where, subsets(RNT))

    times = bench.turns({"channels first": lambda: embed(plain, shown), "channels last": lambda: embed(last, turned)})
    yield chosen("layout of the images of a batch that is embedded", times, "channels first")


def tf32(bench: Bench) -> Iterable[Line]:
    """Embed in fp32 as it is, and with the factors rounded to 10 bits; the suite never does the latter by itself."""
    work = _embedding(bench, torch.float32)
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32

    def rounded(on: bool) -> dict[Modality, Tensor]:
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = on
        return work()

    try:
        times = bench.turns({"off": lambda: rounded(False), "on": lambda: rounded(True)})
        exact, other = rounded(False), rounded(True)
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before
    cosine = min(F.cosine_similarity(exact[s], other[s]).min().item() for s in exact)
    shown = f"{times['off'] / times['on']:.3g} times as fast, smallest cosine {cosine:.7f}"
    yield Line("TF32 in extraction in fp32, off in the suite", shown)


def compiled_extraction(bench: Bench) -> Iterable[Line]:
    """Embed a batch with ``--compile`` and without, and with the graphs that torch.compile can make."""
    if not bench.sizes.compiled:
        return
    reduced = inference_copy(bench.untrained(), bench.device, torch.bfloat16)
    for backbone in reduced.backbones():
        backbone.compile(mode="reduce-overhead")
    shown, where = _batch(bench)
    works: dict[str, Callable[[], object]] = {
        "plain": _embedding(bench, torch.bfloat16),
        "--compile": _embedding(bench, torch.bfloat16, compiled=True),
        "compiled with CUDA graphs": lambda: reduced.embed_all(shown, where, subsets(RNT)),
    }
    times = bench.turns(works)
    for name in list(times)[1:]:
        yield Line(f"extraction, {name}", f"{times['plain'] / times[name]:.3g} times the speed of plain")


def graph(bench: Bench) -> Iterable[Line]:
    """Embed a batch by a CUDA graph of the whole extraction, against plain calls; the suite makes none itself."""
    if bench.device.type != "cuda":
        return
    work = _embedding(bench, torch.bfloat16)
    aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(3):
            work()
    torch.cuda.current_stream().wait_stream(aside)
    captured = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(captured):
            work()
    except RuntimeError as error:
        yield Line("extraction, CUDA graph", f"cannot be captured: {str(error).partition(chr(10))[0]}")
        return
    times = bench.turns({"plain": work, "graph": captured.replay})
    yield Line("extraction, CUDA graph", f"{times['plain'] / times['graph']:.3g} times the speed of plain")


def compiled_step(bench: Bench) -> Iterable[Line]:
    """Take training steps whose trunk is compiled, which the suite has no option for, against plain ones."""
    if not bench.sizes.compiled:
        return
    plain, other = (Step("bf16", bench.sizes.step, device=bench.device, preset=bench.sizes.preset) for _ in range(2))
    for backbone in other.method.backbones():
        backbone.compile()
    times = bench.turns({"plain": plain, "compiled": other})
    yield Line("training step, trunk compiled", f"{times['plain'] / times['compiled']:.3g} times the speed of plain")
