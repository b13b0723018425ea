"""The shape of the code: who imports whom, what the command line loads, how long files are."""

import ast
import statistics
import subprocess
import sys
from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from mdreid_bench.models import registry
from tests.cli.running import CARDS_ALONE

ROOT = Path(__file__).resolve().parents[1]
LAYERS = ("protocols", "mdreid_bench", "baselines")
"""Each package may import those before it."""
WITHOUT_TORCH = ("protocols", *(f"mdreid_bench/{part}" for part in ("cli", "config", "report", "results")))
CARDS = ("mdreid_bench.models.card", "mdreid_bench.models.registry")
"""Modules that neither import torch nor anything that does; so are those of the cards of our own methods."""
LONGEST_FILE, LONGEST_FUNCTION, MEDIAN_FILE = 300, 60, 150

SOURCES = [path for layer in LAYERS for path in sorted((ROOT / layer).rglob("*.py"))]
NAMES = [path.relative_to(ROOT).as_posix() for path in SOURCES]


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(tree: ast.AST, path: Path) -> Iterator[str]:
    """Yield the full names of all modules that the nodes below ``tree`` import."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = module_name(path).split(".") + (["__init__"] if path.name == "__init__.py" else [])
            base = ".".join(package[: -node.level]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            yield from (f"{module}.{alias.name}" for alias in node.names)


def at_import(tree: ast.Module) -> ast.Module:
    """Return the tree without the bodies of functions, which run later."""

    class Hollow(ast.NodeTransformer):
        def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
            return None

        def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
            return None

    hollow = Hollow().visit(deepcopy(tree))
    assert isinstance(hollow, ast.Module)
    return hollow


@cache
def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def test_the_packages_are_found() -> None:
    assert {name.split("/")[0] for name in NAMES} == set(LAYERS)


def test_imports_point_one_way() -> None:
    found = {}
    for name, path in zip(NAMES, SOURCES, strict=True):
        beyond = {*LAYERS[LAYERS.index(name.split("/")[0]) + 1 :], "tests"}
        found[name] = {module.split(".")[0] for module in imports(parse(path), path)} & beyond
    assert not {name: modules for name, modules in found.items() if modules}


def test_folders_of_the_suite_do_not_import_each_other_in_a_circle() -> None:
    """Functions count too: an import that waits for a call is an arrow all the same."""
    folders = {path.parts[-1] for path in (ROOT / "mdreid_bench").iterdir() if path.is_dir()}
    arrows: dict[str, set[str]] = {folder: set() for folder in folders}
    for path in SOURCES:
        package, folder, *rest = path.relative_to(ROOT).parts
        if package == "mdreid_bench" and rest:
            named = (name.split(".") for name in imports(parse(path), path))
            arrows[folder] |= {
                parts[1] for parts in named if parts[0] == package and parts[1:2] and parts[1] in folders
            }
    # Whoever imports nothing that is left is taken away; a circle remains.
    left = {folder: targets - {folder} for folder, targets in arrows.items()}
    while free := [folder for folder, targets in left.items() if not targets & left.keys()]:
        for folder in free:
            del left[folder]
    assert not left


def test_protocols_import_numpy_and_the_standard_library_alone() -> None:
    allowed = {"protocols", "numpy", *sys.stdlib_module_names}
    for path in SOURCES:
        if module_name(path).startswith("protocols"):
            assert {name.split(".")[0] for name in imports(parse(path), path)} <= allowed, path


@pytest.mark.parametrize("part", WITHOUT_TORCH)
def test_light_parts_do_not_import_torch_at_module_level(part: str) -> None:
    heavy = {"torch", "torchvision", "open_clip", "timm"}
    for path in sorted((ROOT / part).rglob("*.py")):
        assert not {name.split(".")[0] for name in imports(at_import(parse(path)), path)} & heavy, path


def printing(node: ast.AST) -> str | None:
    """Return what a node prints by, or None."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
        return "print"
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        name = f"{node.value.id}.{node.attr}"
        return name if name in ("sys.stdout", "sys.stderr", "typer.echo") else None
    return None


def test_only_the_console_prints() -> None:
    console = ("mdreid_bench.cli.console", "mdreid_bench.cli")  # the second before any import
    found = [
        (name, means)
        for name, path in zip(NAMES, SOURCES, strict=True)
        for means in map(printing, ast.walk(parse(path)))
        if means == "print" or (means and module_name(path) not in console)
    ]
    assert not found


def test_files_and_functions_are_short() -> None:
    files, functions = {}, {}
    for name, path in zip(NAMES, SOURCES, strict=True):
        files[name] = len(path.read_text(encoding="utf-8").splitlines())
        for node in ast.walk(parse(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None
                # The signature is left out: that of a command is a table of its options.
                functions[name, node.name, node.lineno] = node.end_lineno - node.body[0].lineno + 1
    assert not {file: lines for file, lines in files.items() if lines > LONGEST_FILE}
    assert not {function: lines for function, lines in functions.items() if lines > LONGEST_FUNCTION}


def test_half_of_the_files_are_of_moderate_length() -> None:
    lengths = [len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES]
    assert statistics.median([length for length in lengths if length]) <= MEDIAN_FILE


def test_the_command_line_starts_without_heavy_modules() -> None:
    heavy = "{'torch', 'torchvision', 'open_clip', 'pandas', 'timm'}"
    code = f"import sys, mdreid_bench.cli.app; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_what_methods_declare_is_read_without_torch() -> None:
    modules = {entry.module for entry in entry_points(group=registry.GROUP) if "card" in entry.module}
    code = CARDS_ALONE + (
        f"import sys, importlib; [importlib.import_module(m) for m in {sorted(modules | set(CARDS))}]\n"
        "from mdreid_bench.models import registry\n"
        "cards = registry.cards().values()\n"
        "found = [c.comparison(c.options_model().model_dump(), None) for c in cards]\n"
        f"print(len(found) >= {len(modules)}, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True False\n"
