"""Layers of the configuration, and what a user is told about a wrong key or value."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mdreid_bench.config import presets
from mdreid_bench.config.resolve import Overrides, resolve
from mdreid_bench.config.schema import RunConfig
from mdreid_bench.config.tree import LARGEST_FILE, parse_assignments, read_yaml
from mdreid_bench.errors import UsageError
from mdreid_bench.models.mdreid.card import CARD
from protocols.names import UnknownNameError


def _resolve(
    dataset: str = "msvr310", preset: str = "paper", size: tuple[int, int] = (128, 256), **overrides: object
) -> RunConfig:
    return resolve(
        "mdreid",
        CARD.options_model,
        CARD.recipes,
        dataset,
        size,
        preset,
        Overrides(**overrides),  # type: ignore[arg-type]
    )


def test_recipe_of_the_dataset_lies_over_the_preset() -> None:
    assert (_resolve("msvr310").batch.instances, _resolve("rgbnt100").batch.instances) == (4, 8)
    assert (_resolve("rgbnt100").optimizer.lr, _resolve("rgbnt201").optimizer.lr) == (1.5e-4, 3.5e-4)
    assert (_resolve("rgbnt201").seed, _resolve("rgbnt100").seed) == (1555, 1111)


def test_tiny_halves_the_image() -> None:
    assert _resolve(preset="tiny").image_size == (64, 128)
    assert _resolve(preset="paper").image_size == (128, 256)


def test_scaled_images_are_cut_into_patches_without_a_rest() -> None:
    sizes = [(288, 144), (256, 128), (100, 50)]
    found = [_resolve(preset="tiny", size=size).image_size for size in sizes]
    assert found == [(144, 64), (128, 64), (50, 25)]


@pytest.mark.parametrize(("scale", "size"), [("1e-9", "0 x 0"), ("0.003", "0 x 1"), ("100", "12800 x 25600")])
def test_a_scale_that_leaves_no_image_is_named(scale: str, size: str) -> None:
    with pytest.raises(
        UsageError, match=rf"image\.scale {scale.replace('1e-9', '1e-09')} makes images of {size} pixels"
    ):
        _resolve(assignments=[f"image.scale={scale}"])
    assert _resolve(assignments=[f"image.scale={scale}", "image.size=[64, 64]"]).image_size == (64, 64)


def test_flags_win_over_assignments_and_those_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("batch: {size: 16}\nschedule: {epochs: 7, warmup: 1}\noptimizer: {lr: 1e-2}\n")
    config = _resolve(file=read_yaml(file), assignments=["batch.size=24"], flags={"schedule": {"epochs": 3}})
    assert (config.batch.size, config.schedule.epochs, config.schedule.warmup) == (24, 3, 1)
    assert config.optimizer.lr == 0.01


def test_fewer_epochs_shorten_the_warmup() -> None:
    assert _resolve(flags={"schedule": {"epochs": 5}}).schedule.warmup == 1
    assert _resolve(flags={"schedule": {"epochs": 500}}).schedule.warmup == 10
    assert _resolve(assignments=["schedule.epochs=5", "schedule.warmup=4"]).schedule.warmup == 4


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("batch.sise=3", "Did you mean 'batch.size'"),
        ("bach.size=3", "Did you mean 'batch'"),
        ("options.orthogonality_wait=1", "Did you mean"),
    ],
)
def test_unknown_key_names_the_nearest(assignment: str, message: str) -> None:
    with pytest.raises(UnknownNameError, match=message):
        _resolve(assignments=[assignment])


@pytest.mark.parametrize(
    "assignment",
    [
        "batch.size=0",
        "batch.size=many",
        "batch.size=30",
        "optimizer.lr=-1",
        "optimizer.lr=.nan",
        "options.rol=mine",
        "schedule.noise=1.5",
        "image.size=[1]",
        "batch",
        "=3",
        "batch..size=2",
        "a=[",
        "batch=3",
    ],
)
def test_bad_values_are_one_sentence(assignment: str) -> None:
    with pytest.raises((UsageError, UnknownNameError)) as error:
        _resolve(assignments=[assignment])
    assert "\n" not in str(error.value)


def test_batch_of_one_identity_is_refused() -> None:
    with pytest.raises(UsageError, match="at least two identities"):
        _resolve(assignments=["batch.size=4", "batch.instances=4"])


def test_files_that_are_no_mapping(tmp_path: Path) -> None:
    (tmp_path / "list.yaml").write_text("- 1\n")
    (tmp_path / "bad.yaml").write_text("a: [\n")
    for name in ("list.yaml", "bad.yaml", "absent.yaml"):
        with pytest.raises(UsageError, match=name):
            read_yaml(tmp_path / name)


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="needs device files")
def test_what_cannot_be_a_configuration_is_refused_before_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "long.yaml").write_bytes(b"#" * LARGEST_FILE + b"\n")
    for name, reason in (
        ("/dev/zero", "is a device"),
        (str(tmp_path), "is a folder"),
        (str(tmp_path / "long.yaml"), f"more than {LARGEST_FILE} bytes"),
    ):
        with pytest.raises(UsageError, match=reason):
            read_yaml(Path(name))


def test_unknown_preset() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'paper'"):
        presets.load("papr")


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=20), st.text(max_size=20))
def test_any_assignment_is_read_or_refused(key: str, value: str) -> None:
    try:
        config = _resolve(assignments=[f"{key}={value}"])
    except (UsageError, UnknownNameError):
        return
    assert config.determining() == RunConfig.model_validate(config.model_dump()).determining()


def test_scientific_notation_is_a_number() -> None:
    assert parse_assignments(["optimizer.lr=1e-4"]) == {"optimizer": {"lr": 1e-4}}


def test_text_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    for typed, read in (
        ("run #1/w.pt", "run #1/w.pt"),
        ("~/w.pt", "/home/me/w.pt"),
        ("~nobody-of-this-name/w.pt", "~nobody-of-this-name/w.pt"),
        ("2024", "2024"),
        ("a: [b].pt", "a: [b].pt"),
        ("no", "no"),
        ("null", None),
    ):
        assert _resolve(assignments=[f"trunk.pretrained={typed}"]).trunk.pretrained == read
    assert _resolve(file={"trunk": {"pretrained": "~/w.pt"}}).trunk.pretrained == "/home/me/w.pt"
    assert _resolve(assignments=["init=~/w #1.pt"]).init == "/home/me/w #1.pt"
    assert parse_assignments(["options.file=a #1", "options.quoted='a #1'"]) == {
        "options": {"file": "a #1", "quoted": "a #1"}
    }


def test_nothing_is_not_a_value() -> None:
    for key in ("trunk.pretrained", "trunk.layers", "options.rol"):
        for nothing in ("", " "):
            with pytest.raises(UsageError, match="has no value; write null"):
                _resolve(assignments=[f"{key}={nothing}"])


def test_key_depends_on_what_determines_the_numbers_alone() -> None:
    base = _resolve().determining()
    assert _resolve(assignments=["data.workers=3", "evaluation.batch_size=9"]).determining() == base
    assert _resolve(assignments=["augment.flip=0.1"]).determining() != base
    assert _resolve(assignments=["seed=3"]).determining() != base
