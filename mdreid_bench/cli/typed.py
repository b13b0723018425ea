"""What was typed after a command: which words belong to which option, and which of them an error is about."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from itertools import pairwise
from typing import Any

from mdreid_bench.errors import UsageError
from protocols.names import UnknownNameError

SHORT_FOR: Mapping[str, str] = {"--epochs": "schedule.epochs", "--batch-size": "batch.size"}
"""Options that stand for a configuration key, which messages name where ``--set`` or a file gave it."""
_EXTRA = re.compile(r"unexpected extra argument[s()]* \((\S+?)[ )]")


@dataclass(frozen=True)
class Call:
    """A command with the words behind it.

    Attributes:
        name: of the command.
        command: as typer made it.
        words: as typed.
    """

    name: str
    command: Any
    words: Sequence[str]

    @property
    def command_line(self) -> tuple[str, ...]:
        """What follows ``mdreid-bench``, to be given once more."""
        return (self.name, *self.words)

    def refuse(self) -> None:
        """Refuse what cannot be meant, before anything is read.

        Raises:
            UsageError: for an argument without text, which as a path is the folder one is in and as a part of a name
                any one; for a word before any option, where the command takes options only.
        """
        for called, value in self._values():
            if not value.strip():
                raise UsageError(
                    f"{called or 'An argument'} has no value; perhaps it was to come from a variable that is not set."
                )
        if self.words and not self.words[0].startswith("-") and not self._places():
            raise UsageError(self.stray(self.words[0]))

    def stray(self, word: str) -> str:
        """Return what to say of a word that belongs to no option: which one was probably meant."""
        takes = f"takes {' '.join(places)} and options" if (places := self._places()) else "takes options only"
        flags = [flag for one in self.command.params for flag in one.opts]
        likely = [flag for flag in ("--dataset", "--method") if flag in flags and _registered(flag, word)]
        likely += ["--protocol"] if not likely and "--protocol" in flags and "-to-" in word else []
        likely += [] if likely else self._repeated(word)
        meant = f"did you mean {likely[0]} {word}?" if likely else f"see 'mdreid-bench {self.name} -h'."
        return f"{self.name} {takes}, and {word!r} is {'one too many' if places else 'none'}; {meant}"

    def told(self, text: str, error: BaseException) -> str:
        """Return the sentence of an error with the option in front that it is about, as typed."""
        if found := _EXTRA.search(text):
            return self.stray(found[1])
        for flag, value in self._values():
            if not flag or flag in text:
                continue
            if isinstance(error, UnknownNameError):
                if several := self._several(flag, value, error):
                    return several
                if value.strip() == error.value or (flag == "--set" and value.startswith(f"{error.value}=")):
                    return f"{flag}: {text}"
            elif key := value.partition("=")[0].strip() if flag == "--set" else SHORT_FOR.get(flag):
                if re.search(rf"\b{re.escape(key)}\b", text):
                    return f"{flag} {value}: {text}"
            elif repr(value) in text or (_is_path(value) and value in text):
                return f"{flag}: {text}"
        return text

    def _values(self) -> Iterator[tuple[str, str]]:
        """Yield every option that has a value with it, and every other word with no option."""
        for before, word in pairwise(("", *self.words)):
            option, equals, value = word.partition("=")
            if word.startswith("--"):
                if equals:
                    yield option, value
            elif before.startswith("--") and "=" not in before and not self._is_switch(before):
                yield before, word
            else:
                yield "", word

    def _several(self, flag: str, value: str, error: UnknownNameError) -> str:
        """Return how several names that were typed as one are typed one by one, if that is what they are."""
        parts, known = re.split(r"[,;\s]+", value.strip()), {name.casefold() for name in error.valid}
        if value.strip() != error.value or len(parts) == 1 or not {part.casefold() for part in parts} <= known:
            return ""
        if not self._param(flag).multiple:
            return f"{flag} takes one name, not {value!r}."
        return f"{flag} takes one name and may be repeated: {' '.join(f'{flag} {part}' for part in parts)}."

    def _repeated(self, word: str) -> list[str]:
        """Return the option before a word, if it may be repeated: perhaps several values were typed after it."""
        place = self.words.index(word) if word in self.words else 0
        before = [one for one in self.words[:place] if one.startswith("--")][-1:]
        return [flag for flag in before if getattr(self._param(flag), "multiple", False)]

    def _places(self) -> list[str]:
        """Return the words that the command takes without an option, by what they are called."""
        return [str(one.metavar) for one in self.command.params if one.param_type_name == "argument"]

    def _param(self, flag: str) -> Any:
        return next((one for one in self.command.params if flag in (*one.opts, *one.secondary_opts)), None)

    def _is_switch(self, flag: str) -> bool:
        return getattr(self._param(flag), "is_flag", False)


def _is_path(value: str) -> bool:
    return "/" in value or bool(re.search(r"\.[A-Za-z]\w*$", value))


def _registered(flag: str, word: str) -> bool:
    registered = {entry.name for entry in entry_points(group=f"mdreid_bench.{flag.removeprefix('--')}s")}
    return word in registered or (word == "all" and flag == "--dataset")
