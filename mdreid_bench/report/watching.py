"""A picture of a run at work, in text: losses as curves, the parts of an item, the time left."""

import sys
from collections.abc import Iterator, Sequence

import numpy as np
from rich.text import Text

from mdreid_bench.report.titles import dataset_title, method_title
from mdreid_bench.report.variants import PERCENT
from mdreid_bench.results.decoupling import Matrix, distance
from mdreid_bench.results.progress import Progress
from mdreid_bench.wording import arrow, counted, printable

BLOCKS, PLAIN = "▁▂▃▄▅▆▇█", "_.-:=+*#"
"""Heights of a curve, and what stands for them where only ASCII can be written."""
_LONGEST_CURVE, _SHORTEST_CURVE, _NAME = 100, 8, 15
_LOG_LINES = 3
_RATE = " rate"
_SMALL, _LARGE = 0.1, 0.5
_TIME = len("2026-01-01 00:00:00 [")


def sparkline(values: Sequence[float], room: int, heights: str = BLOCKS) -> str:
    """Return values as one line of at most ``room`` characters, each the mean of a stretch of them."""
    if not values:
        return ""
    stretches = np.array_split(np.asarray(values, dtype=float), min(room, len(values)))
    means = np.array([stretch.mean() for stretch in stretches])
    low, high = means.min(), means.max()
    scaled = np.zeros(len(means)) if high <= low else (means - low) / (high - low)
    return "".join(heights[min(int(value * len(heights)), len(heights) - 1)] for value in scaled)


def picture(now: Progress, width: int, left: str, plain: bool = False, rows: int | None = None) -> Text:
    """Return the picture of a run.

    Args:
        width: columns of text that there are.
        left: the time that its training takes from here, in words; may be empty.
        plain: whether only ASCII can be written.
        rows: lines that there are; where they are few, the log goes first, and then the rates.
    """
    heights, room = PLAIN if plain else BLOCKS, rows or sys.maxsize
    above, curves, parts, tail = (
        list(part) for part in (_head(now, left), _curves(now, width, heights), _parts(now, width), _tail(now))
    )
    if len(above) + len(curves) + len(parts) + len(tail) > room:
        tail = []
    if len(above) + len(curves) + len(parts) > room:
        curves = [line for line in curves if _RATE not in line.plain[:_NAME]]
    shown = Text("\n", no_wrap=True).join([*above, *curves, *parts, *tail])
    return Text("\n").join(_cut(line, width) for line in shown.split("\n", allow_blank=True))


def _cut(line: Text, width: int) -> Text:
    line.truncate(width)
    return line


def _head(now: Progress, left: str) -> Iterator[Text]:
    shared = now.facts.shared
    data = arrow([dataset_title(name) for name in shared.sources], dataset_title(shared.dataset))
    kind = " (synthetic)" if shared.data_kind == "synthetic" else ""
    split = f", split {shared.split}" if shared.split else ""
    title = f"{method_title(shared.method)} on {data}{kind}{split}, seed {shared.seed}, preset {shared.preset}"
    yield Text(printable(title), style="bold")
    if now.steps and "of" in (last := now.steps[-1]):
        share = PERCENT * last["step"] / max(last["of"], 1)
        told = (
            f"trained: epoch {last['epoch']} of {last['epochs']}, step {last['step']} of {last['of']}, {share:.0f} %"
        )
        yield Text(told + (f", about {left} left" if left else ""))
    elif now.steps:
        yield Text(f"trained: {now.steps[-1]['epoch']} epochs")
    at = f"at work: {now.owner}" if now.owner else "ended" if now.over else "nobody is at it"
    yield Text(f"{counted(len(now.records), 'record')}; {at}")


def _curves(now: Progress, width: int, heights: str) -> Iterator[Text]:
    """Yield a line for each loss, their sum and each rate: the first value, the last one, and the curve."""
    if not now.steps:
        return
    names = list(dict.fromkeys(name for entry in now.steps for name in entry["losses"]))
    curves = {name: [entry["losses"].get(name, 0.0) for entry in now.steps] for name in names}
    curves |= {"total": [sum(entry["losses"].values()) for entry in now.steps]} if len(names) > 1 else {}
    rates = dict.fromkeys(name for entry in now.steps for name in entry["rates"])
    curves |= {f"{name}{_RATE}": [entry["rates"].get(name, 0.0) for entry in now.steps] for name in rates}
    yield Text()
    yield Text(f"{'':{_NAME}} {'first':>9} {'now':>9}", style="dim")
    room = max(min(width - _NAME - 22, _LONGEST_CURVE), _SHORTEST_CURVE)
    for name, values in curves.items():
        few = max(len(values) // 20, 1)  # steps differ too much for a single one to say anything
        first, last = np.mean(values[:few]), np.mean(values[-few:])
        yield Text.assemble(
            f"{printable(name)[:_NAME]:{_NAME}} {first:9.3g} {last:9.3g}  ",
            (sparkline(values, room, heights), "cyan"),
        )


def _parts(now: Progress, width: int) -> Iterator[Text]:
    """Yield the cosines between the parts of an item, as many matrices side by side as there is room for."""
    stages, names = _stages(now)
    if not names:
        return
    label = max(len(f"{number} {name}") for number, name in enumerate(names, 1))
    block = 4 * len(names) + 3
    shown = list(stages.items())[: max((width - label) // block, 1)]
    ideal = stages.get("ideal")
    far = f"; {distance(shown[0][1], ideal):.3f} from the ideal" if ideal else ""
    yield Text()
    yield Text(f"Parts of an item, cosines x 100{far}:")
    yield Text(" " * label + "".join(f"   {stage:<{block - 3}}" for stage, _ in shown), style="dim")
    for place, name in enumerate(names):
        line = Text(printable(f"{place + 1} {name}").ljust(label))
        for _, matrix in shown:
            line.append("   ")
            for value in matrix[place]:
                style = "dim" if abs(value) < _SMALL else "bold" if abs(value) > _LARGE else ""
                line.append(f"{PERCENT * value:4.0f}", style)
        yield line


def _stages(now: Progress) -> tuple[dict[str, Matrix], Sequence[str]]:
    """Return the matrices by what they are, that of today first, and the names of the parts."""
    parts, stages = now.parts, dict[str, Matrix]()
    if now.looks:
        stages[f"after epoch {now.looks[-1]['epoch']}"] = now.looks[-1]["similarity"]
    if parts is None:
        return stages, now.looks[-1]["names"] if now.looks else ()
    if parts.after:
        stages = {"trained": parts.after}
    if parts.before:
        stages["before"] = parts.before
    return {**stages, "ideal": parts.ideal}, parts.names


def _tail(now: Progress) -> Iterator[Text]:
    if now.log:
        yield Text()
    for line in now.log[-_LOG_LINES:]:
        yield Text(printable(line[11:19] + line[_TIME:].partition("]")[2]), style="dim")
