"""What the pretraining sees: single RGB images, each with a caption of what is where in it.

Every image is that of an object of its own, drawn once, by one sensor. There is no second image of an object, so
nothing could tell which images belong together, and a caption says what can be seen, never who it is.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mdreid_bench.data.synthetic.draw import draw_camera, draw_identity, draw_scene, stream
from mdreid_bench.data.synthetic.latents import Kind, Part, Shape
from mdreid_bench.data.synthetic.raster import SUPERSAMPLING, part_map
from mdreid_bench.data.synthetic.render import render
from protocols.modality import Modality

NAMESPACE = "trunk-pretraining"
"""Namespace of all random streams of the pretraining; no dataset uses it, so no dataset contains its objects."""
SIZES: dict[Kind, tuple[int, int]] = {"person": (128, 64), "vehicle": (64, 128)}
"""Height and width of the images: half of those on disk."""
FIELD, REGION = 16, 32
"""Sides in pixels of the squares in which parts are named: a patch of the small vision transformer, and two."""
REGIONS = 8
_IN_SIGHT = 0.005
"""Least share of an image by which a part is in sight."""


@dataclass(frozen=True)
class Sample:
    """One image and its caption.

    Attributes:
        images: (3, H, W) uint8.
        fields: (fields, parts) share of each part in each field of the image, row by row; they sum to 1.
        regions: (regions, parts) likewise in each region.
        colours: (parts, 3) red, green and blue of each part, 0..1; meaningless where ``coloured`` is False.
        coloured: (parts,) whether the part is in sight.
        words: (words,) which of ``WORDS`` describe the object and the photograph.
        told: (words,) False for words of the object that a hidden part would bear out.
        view: cosine and sine of where the camera stands around the object.
    """

    images: NDArray[np.uint8]
    fields: NDArray[np.float32]
    regions: NDArray[np.float32]
    colours: NDArray[np.float32]
    coloured: NDArray[np.bool_]
    words: NDArray[np.float32]
    told: NDArray[np.bool_]
    view: NDArray[np.float32]


def draw_sample(kind: Kind, split: str, number: int) -> Sample:
    """Draw an object that is seen once, and describe its image.

    Args:
        kind: person or vehicle.
        split: ``train``, or ``held-out`` for what is measured on.
        number: of the random stream; the caption does not know it.
    """
    rng = stream(NAMESPACE, 0, kind, split, number)
    identity, camera = draw_identity(kind, rng), draw_camera(kind, rng)
    scene, frame = draw_scene(kind, rng), int(rng.integers(2**62))
    labels = part_map(identity, camera, np.random.default_rng(frame), *SIZES[kind])
    image = render(identity, camera, scene, np.random.default_rng(frame), SIZES[kind], Modality.R)[Modality.R]
    fields = _shares(labels, FIELD)
    in_sight = fields.mean(axis=0) > _IN_SIGHT
    seen = {_word(shape) for shape in identity.shapes if in_sight[shape.part]}
    hidden = {_word(shape) for shape in identity.shapes} - seen
    said = seen | {kind} | ({"night"} if scene.night else set())
    angle = 2 * np.pi * camera.azimuth
    return Sample(
        images=np.ascontiguousarray(image.transpose(2, 0, 1)),
        fields=fields,
        regions=_shares(labels, REGION),
        colours=identity.materials[:, :3],
        coloured=in_sight & identity.materials[:, :3].any(axis=1),
        words=np.array([word in said for word in WORDS], dtype=np.float32),
        told=np.array([word not in hidden for word in WORDS]),
        view=np.array((np.cos(angle), np.sin(angle)), dtype=np.float32),
    )


def _word(shape: Shape) -> str:
    return f"{shape.part.name.lower()}: {shape.word}"


def _shares(labels: NDArray[np.uint8], side: int) -> NDArray[np.float32]:
    """Count the parts in each square of a map that is larger than the image by the supersampling."""
    side *= SUPERSAMPLING
    rows, columns = labels.shape[0] // side, labels.shape[1] // side
    split = labels.reshape(rows, side, columns, side).swapaxes(1, 2).reshape(rows * columns, side * side)
    keyed = split + len(Part) * np.arange(rows * columns)[:, None]
    counts = np.bincount(keyed.ravel(), minlength=rows * columns * len(Part))
    return (counts.reshape(rows * columns, len(Part)) / side**2).astype(np.float32)


def _vocabulary() -> tuple[str, ...]:
    """Return all words that any of a number of objects is described by, and those of photographs."""
    objects = (draw_identity(kind, stream(NAMESPACE, 0, "words", i)) for i in range(200) for kind in SIZES)
    words = {_word(shape) for identity in objects for shape in identity.shapes if shape.word}
    return (*sorted(words), *SIZES, "night", "grey", "negative")


WORDS = _vocabulary()
"""What a caption may say, in the order of ``Sample.words``; the last two are those of changed photographs."""
