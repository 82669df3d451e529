"""Who may import whom, read from the source; and `import seqloss` costs nothing."""

import ast
import graphlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import seqloss

ROOT = Path(seqloss.__file__).parent

FRONTENDS = {"numpy", "torch", "jax", "keras"}
BELOW_FRONTENDS = {"kernels", "formulas", "contract", "errors"}
MAY_IMPORT: dict[str, set[str]] = {
    "__init__": {"kernels"},  # inside a function, where it costs the import nothing
    "errors": set(),
    "counts": set(),
    "contract": {"errors"},
    "reference": {"contract", "errors"},
    "kernels": {"contract", "errors"},
    "formulas": {"contract", "errors"},
    "numpy": BELOW_FRONTENDS,
    "torch": BELOW_FRONTENDS | {"numpy"},  # what happens on the host is written once, there
    "jax": BELOW_FRONTENDS | {"numpy"},
    "keras": BELOW_FRONTENDS | {"numpy", "torch", "jax"},  # a backend's own frontend does its work
    "data": BELOW_FRONTENDS | {"counts"},
    "verify": FRONTENDS | {"data", "reference", "contract", "errors", "counts"},
    "doctor": FRONTENDS | {"data", "contract", "errors", "counts"},
    "training": FRONTENDS | {"data", "doctor", "contract", "errors", "counts"},
    "report": FRONTENDS | {"data", "doctor", "training", "contract", "errors", "counts"},
    "recipes": FRONTENDS | {"data", "doctor", "training", "report", "verify", "contract", "errors", "counts"},
    "__main__": {"cli"},
    "pytest_plugin": {"verify", "errors"},  # inside functions: pytest loads it in every project
    "cli": FRONTENDS | {"data", "recipes", "training", "report", "doctor", "verify", "contract", "errors", "counts"},
}
"""For each part of seqloss (a file or a folder under it), the other parts that it may import."""

FRAMEWORKS = {"torch", "triton", "jax", "keras", "tensorflow", "lightning", "pytorch_lightning", "transformers"}
MAY_NAME = {
    "kernels/triton": {"torch", "triton"},
    "kernels/triton/ctc": {"torch", "triton"},
    "torch": {"torch"},
    "doctor/lightning": {"torch", "lightning"},
    "jax": {"jax"},
    "keras": {"keras", "tensorflow", "torch", "jax"},
    "verify/adapters": {"torch", "jax", "keras", "tensorflow"},
    "doctor": {"torch", "lightning", "transformers"},
    "training": {"torch", "lightning"},
    "report": {"torch"},
    "recipes": FRAMEWORKS,
}
"""The frameworks whose names may stand in an import of a part."""


def part_of(file: Path) -> str:
    return file.relative_to(ROOT).parts[0].removesuffix(".py")


def imported(file: Path) -> Iterator[str]:
    """Dotted names of everything that a file imports, wherever in it the import stands."""
    package = ("seqloss", *file.relative_to(ROOT).parent.parts)
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            origin = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{origin}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            yield from (str(arg.value) for arg in node.args[:1] if isinstance(arg, ast.Constant))


def breaches(file: Path) -> list[str]:
    """The imports of a file that the layers forbid."""
    part, found = part_of(file), []
    for name in imported(file):
        top, _, rest = name.partition(".")
        inner = rest.partition(".")[0]
        own = top == "seqloss" and inner not in {part, "__version__"} and inner not in MAY_IMPORT[part]
        folder = file.relative_to(ROOT).parent.as_posix()
        foreign = top in FRAMEWORKS - MAY_NAME.get(part, set()) - MAY_NAME.get(folder, set())
        beyond_numpy = part == "reference" and top not in {"seqloss", "numpy", *sys.stdlib_module_names}
        if own or foreign or beyond_numpy:
            found.append(name)
    return found


FILES = sorted(ROOT.rglob("*.py"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_file_imports_only_what_its_layer_may(file: Path) -> None:
    assert part_of(file) in MAY_IMPORT, "a new part: say in MAY_IMPORT what it may import"
    assert breaches(file) == []


def test_no_files_import_each_other() -> None:
    files = {".".join(file.relative_to(ROOT.parent).with_suffix("").parts): file for file in FILES}
    files = {name.removesuffix(".__init__"): file for name, file in files.items()}
    graph = {name: {_module(origin, files) for origin in imported(file)} - {name} for name, file in files.items()}
    assert circle_in(graph) == []


def circle_in(graph: dict[str, set[str]]) -> list[str]:
    """The nodes of a circle; none if there is none."""
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return []


def test_a_circle_is_found() -> None:
    assert set(circle_in({"a": {"b"}, "b": {"c"}, "c": {"a"}})) == {"a", "b", "c"}


def _module(origin: str, files: dict[str, Path]) -> str:
    """The file that a dotted name is defined in, or the name itself if it is of another package."""
    name = origin
    while name and name not in files:
        name = name.rpartition(".")[0]
    return name or origin


@pytest.mark.parametrize(
    ("place", "line"),
    [
        ("kernels/x.py", "from seqloss.torch import ctc_loss"),
        ("kernels/x.py", "from ..reference import ctc"),
        ("kernels/x.py", "def f():\n    import torch"),
        ("kernels/x.py", "import triton"),
        ("kernels/triton/x.py", "import jax"),
        ("kernels/triton/x.py", "from seqloss.formulas import namespace"),
        ("torch/x.py", "import triton.language as tl"),
        ("torch/x.py", "import seqloss.reference.ctc"),
        ("torch/x.py", "import lightning"),
        ("torch/x.py", "from seqloss import jax"),
        ("contract/x.py", "from seqloss import kernels"),
        ("reference/x.py", "import scipy"),
        ("reference/x.py", "from . import ctc\nfrom .. import kernels"),
        ("verify/x.py", "import importlib\nimportlib.import_module('seqloss.kernels.numba.extended_exponent')"),
        ("data/x.py", "from torch.utils.data import Dataset"),
        ("doctor/x.py", "from seqloss.training.run import Run"),
        ("training/x.py", "from seqloss.recipes import load_task"),
        ("training/x.py", "from seqloss.report import write_report"),
        ("report/x.py", "from seqloss.recipes.recognition.task import RecognitionTask"),
        ("recipes/x.py", "from seqloss.cli import console"),
        ("errors.py", "import seqloss.contract"),
        ("__init__.py", "from seqloss.errors import SeqLossError"),
    ],
)
def test_forbidden_imports_are_seen(place: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    file = tmp_path / place
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(line)
    assert len(breaches(file)) == 1


@pytest.mark.parametrize(
    ("place", "line"),
    [
        (
            "reference/x.py",
            "import math\nimport numpy as np\nfrom .. import contract\nfrom .ctc import flush",
        ),
        (
            "torch/x.py",
            "import torch.nn\nfrom seqloss.kernels.ctc import batch\nfrom seqloss import contract",
        ),
        ("kernels/triton/x.py", "import torch\nimport triton.language as tl\nfrom seqloss.kernels.triton import tiles"),
        (
            "recipes/x.py",
            "import lightning\nfrom seqloss.torch import ctc_loss\nfrom seqloss import __version__",
        ),
    ],
)
def test_permitted_imports_pass(place: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    file = tmp_path / place
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(line)
    assert breaches(file) == []


def in_a_fresh_process(code: str) -> str:
    """Run code in a bare interpreter that finds seqloss, and return what it printed."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT.parent)}
    command = [sys.executable, "-S", "-c", code]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout


def test_importing_seqloss_loads_nothing_else() -> None:
    code = "import sys; before = set(sys.modules); import seqloss; print(*sorted(set(sys.modules) - before))"
    assert in_a_fresh_process(code).split() == ["seqloss"]


def test_importing_seqloss_takes_under_a_twentieth_of_a_second() -> None:
    code = "from time import perf_counter as now; start = now(); import seqloss; print(now() - start)"
    assert min(float(in_a_fresh_process(code)) for _ in range(3)) < 0.05


def test_listing_the_options_of_the_recipes_loads_no_framework() -> None:
    code = (
        "import sys; from seqloss.recipes import RECIPES\n"
        "for recipe in RECIPES.values(): recipe.settings_class()\n"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    assert not {"torch", "lightning", "numpy", "jax"} & set(in_a_fresh_process(code).split())
