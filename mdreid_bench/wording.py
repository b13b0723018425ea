"""Small pieces of text that many messages need: safe characters, short lists, numbers with their noun, time spans."""

from collections.abc import Mapping, Sequence


def printable(text: str) -> str:
    """Escape control, format, line-breaking and undecodable characters, which could steer a terminal."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def listed(items: Sequence[str], most: int = 10, separator: str = ", ") -> str:
    """Join the first ``most`` items and say how many are left: ``a, b and 3 more``, ``a; b; and 3 more``."""
    left = len(items) - most
    more = f"{separator.rstrip(', ')} and {left} more" if left > 0 else ""
    return separator.join(items[:most]) + more


def arrow(sources: Sequence[str], target: str) -> str:
    """Return ``A + B → C`` for what was trained on and what is tested with, ``C`` where there are no sources."""
    return f"{' + '.join(sources)} → {target}" if sources else target


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, such as ``1 fault`` or ``2 faults``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def by_kind(numbers: Mapping[str, int]) -> str:
    """Return how many there are of each kind: ``missing file: 3, size: 1``."""
    return ", ".join(f"{kind}: {number}" for kind, number in numbers.items())


def in_words(number: int) -> str:
    """Return a number below ten as a word and others in digits."""
    words = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    return words[number] if 0 <= number < len(words) else str(number)


def duration(seconds: float) -> str:
    """Write a time span with its two largest units: ``"42 s"``, ``"3 min 05 s"``, ``"2 h 10 min"``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
