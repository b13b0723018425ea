"""Damages a content in every way that one place allows, and counts what its reader makes of it.

A damage is refused with a clean error, or noticed (the file counts as another one), or does not matter (the content
read is the very same). Anything else, a wrong number above all, is an error of the reader.
"""

from collections import Counter
from collections.abc import Callable, Iterator

REFUSED, NOTICED, HARMLESS = "refused", "noticed as another file", "read the same"
Counts = Counter[str]
_BLOCK = 16


def damages(content: bytes, step: int) -> Iterator[tuple[str, bytes]]:
    """Yield cuts, flipped bits, blocks of zeros and bytes put in or left out, at every ``step``-th offset."""
    for at in range(0, len(content), step):
        bit = 1 << (at // step) % 8
        end = min(at + _BLOCK, len(content))
        yield "cut", content[:at]
        yield "flipped", content[:at] + bytes([content[at] ^ bit]) + content[at + 1 :]
        yield "zeroed", content[:at] + bytes(end - at) + content[end:]
        yield "doubled", content[:at] + content[at:end] + content[at:]
        yield "left out", content[:at] + content[end:]


def sweep(content: bytes, step: int, read: Callable[[bytes], str]) -> Counts:
    """Damage a content in all ways; ``read`` tells what comes of each."""
    result: Counts = Counter()
    for kind, damaged in damages(content, step):
        if damaged != content:
            result[f"{kind}: {read(damaged)}"] += 1
    return result
