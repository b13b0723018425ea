"""Errors for names that nothing answers to, with the valid ones and the nearest match."""

import difflib
from collections.abc import Iterable


class UnknownNameError(ValueError):
    """A name outside a closed set; the message lists the valid names and the nearest one.

    Attributes:
        kind: what the name was meant to name, for example ``"protocol"``.
        value: the name as given.
        valid: the accepted names, among which the nearest match is sought.

    A set too large for one sentence passes ``shown``, the part of it (or the description) that the message lists.
    ``nearest`` is the name that was meant, where the caller knows better than the letters tell.
    """

    def __init__(
        self,
        kind: str,
        value: str,
        valid: Iterable[str],
        shown: Iterable[str] | None = None,
        nearest: str | None = None,
    ) -> None:
        self.kind, self.value, self.valid = kind, value, tuple(valid)
        hint = nearest or closest(value, self.valid)
        question = f" Did you mean {hint!r}?" if hint else ""
        listed = ", ".join(self.valid if shown is None else shown)
        super().__init__(f"Unknown {kind} {value!r}.{question} Valid: {listed}.")


def closest(value: str, valid: Iterable[str]) -> str | None:
    """Return the valid name that ``value`` begins or is most similar to, ignoring case, or None when none is near."""
    by_fold = {name.casefold(): name for name in valid}
    if begun := [name for fold, name in by_fold.items() if len(value) > 2 and fold.startswith(value.casefold())]:
        return begun[0]
    found = difflib.get_close_matches(value.casefold(), list(by_fold), n=1, cutoff=0.5)
    return by_fold[found[0]] if found else None
