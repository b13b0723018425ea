"""All pictures of a run on one page that asks for nothing from outside; its script shows the images behind points."""

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from mdreid_bench.inspection.compared import Kind
from mdreid_bench.inspection.images import Thumbnails, encoded
from mdreid_bench.inspection.maps import ASKED, Map
from mdreid_bench.inspection.strips import SIGNS, Strip
from mdreid_bench.wording import printable
from protocols.modality import Modality

SMALL = 48
"""Width and height of an image behind a point, in pixels."""
_ACROSS = 32
_WIDTH, _HEIGHT, _MARGIN = 1000, 640, 24


@dataclass(frozen=True)
class Section:
    """One picture, or several of a kind, and what they say.

    Attributes:
        name: of its files and its place on the page.
        meaning: how it is defined, in plain words.
        strips: shown as rows of images.
        map: shown as points with the images behind them.
        svg: shown as it is drawn.
        absent: why there is nothing to show; empty where there is something.
    """

    name: str
    title: str
    meaning: str
    strips: tuple[Strip, ...] = ()
    map: Map | None = None
    svg: str = ""
    absent: str = ""


def render_page(
    title: str, facts: Mapping[str, str], warnings: Sequence[str], sections: Sequence[Section], thumbnails: Thumbnails
) -> str:
    """Return the page.

    Args:
        title: of the page.
        facts: what was looked at, by its name.
        warnings: what must be known to read the pictures.
        sections: in their order.
        thumbnails: of the test items, for the points of maps.

    Raises:
        DataError: for an image that has changed since the dataset was opened.
    """
    environment = _environment()
    script = environment.loader.get_source(environment, "inspection.js")[0] if environment.loader else ""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    return environment.get_template("page.html.j2").render(
        title=title,
        facts=facts,
        warnings=warnings,
        sections=sections,
        script=script,
        script_digest=digest,
        maps={s.name: _plain(s.map, thumbnails) for s in sections if s.map is not None},
        signs={kind.name.lower(): SIGNS[kind] for kind in (Kind.RIGHT, Kind.WRONG, Kind.EXCLUDED)},
    )


@cache
def _environment() -> Environment:
    """Return the templates, which escape every text put into them."""
    environment = Environment(
        loader=PackageLoader("mdreid_bench.inspection"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.finalize = lambda value: printable(value) if type(value) is str else value
    environment.filters["jpeg"] = lambda image: _address(encoded(image), "jpeg")
    environment.filters["svg"] = lambda text: _address(text.encode(), "svg+xml")
    environment.globals["sign_of"] = lambda kind: SIGNS[kind]
    return environment


def _address(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"


def _plain(drawn: Map, thumbnails: Thumbnails) -> dict[str, Any]:
    """Return what the template needs of a map: points with their places, colours, words and images."""
    low, high = drawn.points.min(axis=0), drawn.points.max(axis=0)
    span = high - low
    span[span == 0] = 1
    room = (_WIDTH - 2 * _MARGIN, _HEIGHT - 2 * _MARGIN)
    places = _MARGIN + (drawn.points - low) / span * room
    legends = {colouring: drawn.legend(colouring) for colouring in drawn.colourings}
    sheet = _Sheet(thumbnails)
    points = []
    for number, (row, code, side) in enumerate(zip(drawn.rows.tolist(), drawn.sensors, drawn.sides, strict=True)):
        words = {colouring: values[number] for colouring, values in drawn.colourings.items()}
        points.append(
            {
                "x": f"{places[number, 0]:.1f}",
                "y": f"{_HEIGHT - places[number, 1]:.1f}",
                "asked": side == ASKED,
                "colours": {colouring: legends[colouring][word] for colouring, word in words.items()},
                "text": f"identity {words['identity']}, camera {words['camera']}, {words['sensors']}",
                "cells": " ".join(map(str, sheet.add(row, Modality(int(code))))),
            }
        )
    return {
        "points": points,
        "legends": legends,
        "axes": drawn.axes,
        "size": (_WIDTH, _HEIGHT),
        "sides": any(drawn.sides),
        "sheet": sheet.image(),
        "across": _ACROSS,
        "small": SMALL,
    }


class _Sheet:
    """Small images side by side in one large one, each once."""

    def __init__(self, thumbnails: Thumbnails) -> None:
        self._thumbnails = thumbnails
        self._cells: dict[tuple[int, Modality], Image.Image] = {}
        self._numbers: dict[tuple[int, Modality], int] = {}

    def add(self, row: int, sensors: Iterable[Modality]) -> list[int]:
        """Return the numbers of the images of an item by some sensors; none where there are no images."""
        wanted = [(row, sensor) for sensor in sensors]
        if not all(one in self._cells for one in wanted):
            for sensor, image in self._thumbnails.read(row, SMALL).items():
                self._cells.setdefault((row, sensor), image)
        return [self._numbers.setdefault(one, len(self._numbers)) for one in wanted if one in self._cells]

    def image(self) -> Image.Image | None:
        """Return the sheet; None without images."""
        if not self._numbers:
            return None
        sheet = Image.new("RGB", (_ACROSS * SMALL, -(-len(self._numbers) // _ACROSS) * SMALL), "white")
        for key, number in self._numbers.items():
            cell, (down, across) = self._cells[key], divmod(number, _ACROSS)
            corner = (across * SMALL + (SMALL - cell.width) // 2, down * SMALL + (SMALL - cell.height) // 2)
            sheet.paste(cell, corner)
        return sheet
