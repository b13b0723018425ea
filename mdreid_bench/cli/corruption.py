"""The options that corrupt test images, and the forms of measurement that they ask for."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

from mdreid_bench.cli.command import SCORING, option
from mdreid_bench.cli.values import choice, count, reader
from mdreid_bench.data import registry as datasets
from mdreid_bench.data.card import DatasetCard
from mdreid_bench.errors import UsageError
from mdreid_bench.results.form import Form
from protocols.corruption import COLOUR_ONLY, RANDOM, SIDES, Corruption, Sides, named
from protocols.modality import Modality

REPETITIONS = 10
"""Of random draws, as published; a type and level is the same for all images and needs one."""


@dataclass(frozen=True, kw_only=True)
class CorruptionOptions:
    """Which test images are corrupted, how, and how often."""

    corruptions: Annotated[
        list[str],
        option(
            SCORING,
            "--corrupt",
            "Measure on corrupted test images too: fog-3 (type and level), fog (all levels), noise, blur, weather, "
            "digital or all (with a level or without), random (a type and level for each image), or a published set "
            "such as RegDB-C; may be repeated.",
        ),
    ] = field(default_factory=list)
    corrupt_side: Annotated[
        Sides | None,
        choice(SCORING, "--corrupt-side", "Whose images are corrupted. Default: both.", SIDES, meant={"all": "both"}),
    ] = None
    corrupt_sensors: Annotated[
        Modality | None,
        option(
            SCORING,
            "--corrupt-sensors",
            "Sensors whose images are corrupted, such as R. Default: all.",
            metavar="<str>",
            parser=reader(Modality.parse),
        ),
    ] = None
    corrupt_draw: Annotated[
        Literal["independent", "correlated"] | None,
        choice(
            SCORING,
            "--corrupt-draw",
            "How the sensors of an item draw corruptions. Default: independent.",
            ("independent", "correlated"),
        ),
    ] = None
    corrupt_repetitions: Annotated[
        int | None,
        count(
            SCORING,
            "--corrupt-repetitions",
            f"How often images are corrupted anew. Default: {REPETITIONS} where types are drawn, else 1.",
            least=1,
        ),
    ] = None
    corrupt_seed: Annotated[int | None, count(SCORING, "--corrupt-seed", "Number of the draws. Default: 0.")] = None

    def check_corruptions(self, cards: Iterable[DatasetCard]) -> None:
        """Refuse what no dataset, or one of these, cannot have.

        Raises:
            UnknownNameError: for an unknown corruption.
            UsageError: for options that do not go together, and for a corruption that a dataset cannot have.
        """
        given = self._given()
        if given and not self.corruptions:
            raise UsageError(f"{given[0]} goes with --corrupt; add it, or leave {given[0]} out.")
        for card in cards:
            self._corruptions(card)

    def with_corruptions(self, form: Form, card: DatasetCard) -> tuple[Form, ...]:
        """Return a form for the images of a dataset as they are, and one for each repetition of each corruption."""
        found = dict.fromkeys(
            replace(corruption, repetition=repetition)
            for corruption in self._corruptions(card)
            for repetition in range(self.corrupt_repetitions or (REPETITIONS if corruption.name == RANDOM else 1))
        )
        return (form, *(replace(form, corruption=corruption) for corruption in found))

    def _given(self, *but: str) -> list[str]:
        """Return the flags, other than some, that are given without meaning anything by themselves."""
        flags = ("--corrupt-side", "--corrupt-sensors", "--corrupt-draw", "--corrupt-repetitions", "--corrupt-seed")
        names = (flag.removeprefix("--").replace("-", "_") for flag in flags)
        return [f for f, name in zip(flags, names, strict=True) if f not in but and getattr(self, name) is not None]

    def _corruptions(self, card: DatasetCard) -> list[Corruption]:
        """Return the first repetition of every corruption on a dataset."""
        return [one for text in self.corruptions for one in self._one_name(text, card)]

    def _one_name(self, text: str, card: DatasetCard) -> list[Corruption]:
        sets = {c.corrupted_set.casefold(): c for c in datasets.cards(lambda _: None).values() if c.corrupted_set}
        if text.strip().casefold() in sets:
            return [self._published(sets[text.strip().casefold()], card)]
        wanted, names = self.corrupt_sensors or card.sensors, named(text)
        if wanted not in card.sensors:
            raise UsageError(
                f"--corrupt-sensors {wanted} names sensors that {card.title} does not have: it has {card.sensors}."
            )
        if self.corrupt_draw == "correlated" and RANDOM not in names:
            raise UsageError(
                f"--corrupt-draw correlated is about what is drawn, and {text} draws nothing; use --corrupt random."
            )
        if wanted != Modality.R and RANDOM not in names:
            coloured = [name for name in names if name.startswith(COLOUR_ONLY)]
            if text.strip().lower().startswith(COLOUR_ONLY):
                lacking = wanted & ~Modality.R
                way_out = "use another type" if lacking == wanted else "corrupt R alone with --corrupt-sensors R"
                raise UsageError(
                    f"--corrupt {text} changes colours, which the images of {lacking} of {card.title} lack; "
                    f"{way_out}."
                )
            names = tuple(name for name in names if name not in coloured)
        sensors = "" if wanted == card.sensors else str(wanted)
        correlated, seed = self.corrupt_draw == "correlated", self.corrupt_seed or 0
        return [Corruption(name, self.corrupt_side or "both", sensors, correlated, seed) for name in names]

    def _published(self, owner: DatasetCard, card: DatasetCard) -> Corruption:
        """Return what a published corrupted test set is made of: random types on the visible images of both sides."""
        name, own = owner.corrupted_set, self._given("--corrupt-repetitions", "--corrupt-seed")
        if owner.name != card.name:
            raise UsageError(f"{name} is made of {owner.title}, not of {card.title}; use --corrupt random there.")
        if own:
            raise UsageError(f"{name} says itself which images are corrupted, and how; leave {own[0]} out.")
        return Corruption(RANDOM, sensors=str(Modality.R), seed=self.corrupt_seed or 0, published=name)
