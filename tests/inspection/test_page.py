"""The page and the strips on it: escaped, with alternative texts, and without anything from outside."""

import base64
import hashlib
import re

from PIL import Image

from mdreid_bench.inspection.compared import Kind
from mdreid_bench.inspection.images import Thumbnails
from mdreid_bench.inspection.page import Section, render_page
from mdreid_bench.inspection.strips import SIZE, Cell, Picture, Strip, draw
from protocols.modality import R

HOSTILE = '<script>alert("&")</script>'


def strip(image: Image.Image | None) -> Strip:
    cells = [
        Cell((Picture(f"{HOSTILE}, {R}", str(R), image),), (HOSTILE, "camera 1"), kind)
        for kind in (None, Kind.RIGHT, Kind.WRONG, Kind.EXCLUDED)
    ]
    return Strip(HOSTILE, tuple(cells))


def test_whatever_names_hold_is_shown_as_text_and_the_script_is_the_only_one() -> None:
    sections = [Section("lists", HOSTILE, HOSTILE, strips=(strip(Image.new("RGB", (8, 4))), strip(None)))]
    page = render_page(HOSTILE, {"Run": HOSTILE}, [HOSTILE], sections, Thumbnails(None, None))
    assert HOSTILE not in page
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page
    assert page.count("<img ") == page.count(' alt="&lt;script&gt;') == 4
    assert page.count(">no image<") == 4
    for kind in ("right", "wrong", "excluded"):
        assert f'<span class="out">{kind}</span>' in page


def test_strips_without_images_and_without_cells_are_drawn() -> None:
    """Narrow strips stand side by side, so that four of them are no taller than the two rows that they need."""
    tall = draw([strip(None)], "one").get_figheight()
    assert draw([strip(None)] * 4, "four").get_figheight() < 3 * tall
    assert draw([Strip("none", ())], "none").get_figheight() < tall
    assert draw([strip(Image.new("RGB", (SIZE, SIZE)))], "taller").get_figheight() > tall
