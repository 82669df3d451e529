"""The public names of seqloss, and their docstrings.

The sources are parsed, not imported: Keras would fix its backend for the process.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from inspect import cleandoc
from pathlib import Path

from seqloss import errors

SOURCE = Path(errors.__file__).parent
PUBLIC_MODULES = (
    "seqloss",
    "seqloss.errors",
    "seqloss.numpy",
    "seqloss.torch",
    "seqloss.torch.functional",
    "seqloss.torch.huggingface",
    "seqloss.torch.nn",
    "seqloss.torch.optim",
    "seqloss.jax",
    "seqloss.keras",
    "seqloss.doctor",
    "seqloss.doctor.huggingface",
    "seqloss.doctor.lightning",
    "seqloss.doctor.sanity_checks",
    "seqloss.verify",
    "seqloss.reference",
    "seqloss.data",
    "seqloss.recipes",
    "seqloss.report",
    "seqloss.training.engine",
    "seqloss.training.predictor",
    "seqloss.training.run",
)
"""What is in their `__all__` is for users."""

INTERNAL_MODULES = {
    "seqloss.cli": "its `main` is the command line",
    "seqloss.contract": "the frontends' own: their arguments have these rules",
    "seqloss.data.sounds": "users find its names in `seqloss.data`",
    "seqloss.doctor.comparison": "users find its names in `seqloss.doctor`",
    "seqloss.keras.ctc.host": "users find its names in `seqloss.keras`",
    "seqloss.keras.losses.tensorflow": "what the Keras frontend calls on TensorFlow",
    "seqloss.verify.laws": "those of `seqloss.verify`, for who adds one",
}
"""Other modules with an `__all__`, and for whom it is."""

Node = ast.FunctionDef | ast.ClassDef | ast.Assign | ast.AnnAssign


@dataclass(frozen=True)
class PublicName:
    """A public name: the module that shows it, and the one that defines it."""

    module: str
    name: str
    home: str
    node: Node

    @property
    def path(self) -> str:
        return f"{self.module}.{self.name}"

    @property
    def definition(self) -> tuple[str, str]:
        """The same for all public names of one object."""
        return self.home, self.name

    @property
    def source(self) -> Path:
        return file_of(self.home)

    @property
    def summary(self) -> str:
        """The first paragraph of its docstring, or of the string after a constant."""
        return cleandoc(docstring_of(self.home, self.node)).split("\n\n")[0]


def file_of(module: str) -> Path:
    path = SOURCE.parent / module.replace(".", "/")
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def parse(module: str) -> ast.Module:
    return ast.parse(file_of(module).read_text(encoding="utf-8"))


def listed(tree: ast.Module) -> list[str]:
    """The names in a module's `__all__`; none without one."""
    lists = (node for node in tree.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__")
    return next((ast.literal_eval(node.value) for node in lists), [])


def public_names() -> Iterator[PublicName]:
    """What every public module lists in `__all__`. A module in a list is public itself, so that its names follow."""
    for module in PUBLIC_MODULES:
        for name in listed(parse(module)):
            if f"{module}.{name}" not in PUBLIC_MODULES:
                yield PublicName(module, name, *find_definition(module, name))


def find_definition(module: str, name: str) -> tuple[str, Node]:
    """The module that defines a name of another one, and the definition."""
    tree = parse(module)
    found = [node for node in tree.body if name in _names(node)]
    if found:
        return module, found[-1]  # the last of a function's overloads
    imports = (node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module)
    home = next(node.module for node in imports if name in {alias.name for alias in node.names})
    return find_definition(str(home), name)


def _names(node: ast.stmt) -> set[str]:
    """What a statement defines."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return {target.id for target in targets if isinstance(target, ast.Name)}
    return set()


def docstring_of(module: str, node: Node) -> str:
    """The docstring of a function or class; of a constant, the string after it."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return ast.get_docstring(node, clean=False) or ""
    body = parse(module).body
    place = next(place for place, other in enumerate(body) if ast.dump(other) == ast.dump(node))
    following = body[place + 1] if place + 1 < len(body) else None
    return str(ast.literal_eval(following.value)) if isinstance(following, ast.Expr) else ""


SECTION = re.compile(r"^(Args|Returns|Yields|Raises|Example|References|Attributes):$")
ENTRY = re.compile(r"^    (\w+): \S")


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
