"""The docstring and the signature of every public function and class.

The sources are parsed, not imported: Keras would fix its backend for the process.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from inspect import cleandoc
from pathlib import Path

import pytest

from seqloss import errors

SOURCE = Path(errors.__file__).parent
PACKAGES = (
    "numpy",
    "torch",
    "jax",
    "keras",
    "doctor",
    "doctor/lightning",
    "torch/huggingface",
    "torch/nn",
    "torch/optim",
)
THREADS = ("set_num_threads", "get_num_threads")  # of `seqloss` itself
CALLS = {
    "CTCLoss": ["forward"],
    "CTC": ["__call__", "call"],
    "CTCTrainerLoss": ["__call__"],
    "CosineTriplet": ["forward", "call"],
    "PairwiseKLHinge": ["forward", "call"],
    "SoftNearestNeighbor": ["call"],
}
"""What a user calls an object with: documented like a function."""

SECTION = re.compile(r"^(Args|Returns|Raises|Example|References|Attributes):$")
ENTRY = re.compile(r"^    (\w+): \S")

ANY = {
    "compare.first": "a function of `batch`; its results are arrays of any framework",
    "compare.second": "like `first`",
    "watch.held_out": "a batch as the caller's loss takes it",
    "watch.scaler": "torch.amp.GradScaler, or one of a library that does the same",
    "WatchTraining.held_out": "a batch as the module takes it",
    "compare.batch": "arguments of the two functions",
    "examine.batches": "batches of any type",
    "examine.loss": "takes a batch of any type; its result may be a tuple or a mapping",
    "examine.held_out": "like `batches`",
    "examine.vocabulary": "an object of any tokenizer library, or functions",
    "examine.scheduler": "torch has no common base class of learning rate schedules",
}
"""Public parameters whose annotation holds `Any`, and why."""


@dataclass
class Documented:
    """A public function or class, as the source has it."""

    name: str
    docstring: str
    parameters: dict[str, str] = field(default_factory=dict)  # name -> annotation
    fields: list[str] = field(default_factory=list)  # of a dataclass that is a result
    returns: str = ""

    def section(self, title: str) -> list[str] | None:
        """The lines of a section, or None without it."""
        found: list[str] | None = None
        for line in cleandoc(self.docstring).splitlines():
            heading = SECTION.match(line)
            if heading and found is None and heading[1] == title:
                found = []
            elif found is not None and (heading or (line and line[0] != " ")):
                break
            elif found is not None:
                found.append(line)
        return found

    def entries(self, title: str) -> list[str]:
        return [entry[1] for line in self.section(title) or [] if (entry := ENTRY.match(line))]


def public_definitions(package: str) -> Iterator[ast.FunctionDef | ast.ClassDef]:
    """What the package's `__init__.py` imports and lists in `__all__`, each from the module that defines it."""
    tree = ast.parse((SOURCE / package / "__init__.py").read_text(encoding="utf-8"))
    shown = listed(tree)
    imports = {
        alias.name: node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    for name in shown:
        module = SOURCE.parent / imports[name].replace(".", "/") / f"{name}.py"
        if module.exists():
            names = listed(ast.parse(module.read_text(encoding="utf-8")))
            yield from definitions(f"{imports[name]}.{name}", names)
        else:
            yield from definitions(str(imports[name]), [name])


def listed(tree: ast.Module) -> list[str]:
    """The names in a module's `__all__`."""
    return next(
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    )


def definitions(module: str, names: list[str]) -> Iterator[ast.FunctionDef | ast.ClassDef]:
    path = SOURCE.parent / module.replace(".", "/")
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    found = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found[node.name] = node  # the last of a function's overloads
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                if alias.name in names:
                    yield from definitions(node.module, [alias.name])
    yield from (found[name] for name in names if name in found)


def documented(node: ast.FunctionDef | ast.ClassDef, name: str = "") -> Documented:
    result = Documented(name or node.name, ast.get_docstring(node, clean=False) or "")
    function = node
    if isinstance(node, ast.ClassDef):
        constructors = [part for part in node.body if isinstance(part, ast.FunctionDef) and part.name == "__init__"]
        if not constructors:
            result.fields = [ast.unparse(part.target) for part in node.body if isinstance(part, ast.AnnAssign)]
            return result
        function = constructors[0]
    assert isinstance(function, ast.FunctionDef)
    arguments = function.args
    named = [*arguments.posonlyargs, *arguments.args, arguments.vararg, *arguments.kwonlyargs, arguments.kwarg]
    for argument in filter(None, named):
        if argument.arg != "self":
            result.parameters[argument.arg] = ast.unparse(argument.annotation) if argument.annotation else ""
    result.returns = ast.unparse(function.returns) if function.returns else ""
    return result


def everything() -> Iterator[tuple[str, Documented]]:
    for package in PACKAGES:
        for node in public_definitions(package):
            yield f"{package}.{node.name}", documented(node)
            for method in getattr(node, "body", []):
                if isinstance(node, ast.ClassDef) and getattr(method, "name", "") in CALLS.get(node.name, []):
                    yield f"{package}.{node.name}.{method.name}", documented(method, f"{node.name}.{method.name}")
    for node in definitions("seqloss", list(THREADS)):
        yield f"seqloss.{node.name}", documented(node)


PUBLIC = dict(everything())
RESULTS = {name: found for name, found in PUBLIC.items() if found.fields}
CALLED = {name: found for name, found in PUBLIC.items() if not found.fields}


def test_every_public_name_is_found() -> None:
    assert {"numpy.ctc_loss", "torch.CTCLoss.forward", "jax.optax_ctc_loss", "keras.CTC", "doctor.layers"} <= set(
        PUBLIC
    )
    assert {"doctor/lightning.GradientFlow", "seqloss.set_num_threads", "torch.Alignment"} <= set(PUBLIC)


@pytest.mark.parametrize("name", CALLED)
def test_a_function_has_a_summary_and_all_sections(name: str) -> None:
    found = CALLED[name]
    summary = cleandoc(found.docstring).split("\n\n")[0]
    assert re.fullmatch(r"[A-Z][^\n]*\.", summary), "one sentence on one line"
    sections = ["Raises", "Example"]
    sections += ["Args"] * bool(found.parameters)
    sections += ["Returns"] * (found.returns != "None")
    assert [title for title in sections if not found.section(title)] == []
    assert any(">>> " in line for line in found.section("Example") or [])


@pytest.mark.parametrize("name", CALLED)
def test_args_names_every_parameter_of_the_signature_on_a_line_of_its_own(name: str) -> None:
    assert CALLED[name].entries("Args") == list(CALLED[name].parameters)


@pytest.mark.parametrize("name", RESULTS)
def test_a_result_names_every_attribute_on_a_line_of_its_own(name: str) -> None:
    assert RESULTS[name].entries("Attributes") == RESULTS[name].fields


@pytest.mark.parametrize("name", CALLED)
def test_raises_names_errors_that_exist_one_a_line(name: str) -> None:
    raised = CALLED[name].entries("Raises")
    assert raised
    assert [error for error in raised if not hasattr(errors, error) and not hasattr(builtins, error)] == []


@pytest.mark.parametrize("name", PUBLIC)
def test_no_docstring_refers_to_another_one_for_its_arguments(name: str) -> None:
    assert not re.search(r"\b[Aa]s `(seqloss\.\w+\.)?ctc_loss`", PUBLIC[name].docstring)


@pytest.mark.parametrize("name", CALLED)
def test_a_parameter_has_a_type(name: str) -> None:
    found = CALLED[name]
    untyped = {
        f"{found.name}.{parameter}" for parameter, kind in found.parameters.items() if re.search(r"\bAny\b|^$", kind)
    }
    assert untyped <= set(ANY)
    assert found.returns
