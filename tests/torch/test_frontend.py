"""The frontend itself: what it shows, its examples, and what it says where PyTorch is missing."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
import subprocess
import sys
from operator import attrgetter

import pytest

import seqloss.torch
from seqloss import contract

MODULES = [
    "seqloss.torch",
    *(module.name for module in pkgutil.walk_packages(seqloss.torch.__path__, "seqloss.torch.")),
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_give_what_they_show(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


@pytest.mark.parametrize(
    "name",
    ["ctc_loss", "CTCLoss.forward", "ctc_check", "ctc_posteriors", "ctc_align", "ctc_greedy", "from_loss_and_grad"],
)
def test_every_public_function_has_words_and_an_example_that_runs(name: str) -> None:
    words = inspect.getdoc(attrgetter(name)(seqloss.torch)) or ""
    assert all(section in words for section in ("Args:", "Returns:", "Raises:", "Example:", ">>> "))


def test_the_signature_is_the_contracts() -> None:
    names = "logits targets logit_lengths target_lengths blank normalize infeasible reduction denominator validate"
    signature = inspect.signature(seqloss.torch.ctc_loss)
    assert list(signature.parameters) == names.split()
    defaults = {name: p.default for name, p in signature.parameters.items() if p.default is not p.empty}
    assert defaults == {
        "logit_lengths": None,
        "target_lengths": None,
        "blank": 0,
        "normalize": True,
        "infeasible": "inf",
        "reduction": "none",
        "denominator": None,
        "validate": True,
    }
    keyword_only = [name for name, p in signature.parameters.items() if p.kind is p.KEYWORD_ONLY]
    assert keyword_only == names.split()[4:]


def test_the_frontend_shows_its_functions_and_nothing_else() -> None:
    shown = {name for name, value in vars(seqloss.torch).items() if not inspect.ismodule(value)}
    assert {name for name in shown if name[0] not in "_@"} == set(seqloss.torch.__all__) - {
        "functional"
    }  # "@": pytest's own


WITHOUT_TORCH = """
import sys
{block}
try:
    import seqloss.torch
except ImportError as error:
    print(type(error).__name__, error, error.__suppress_context__, sep="|")
"""


def told(block: str) -> list[str]:
    command = [sys.executable, "-c", WITHOUT_TORCH.format(block=block)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip().split("|")


def test_missing_torch_is_answered_with_what_to_install() -> None:
    missing = """
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")
sys.meta_path.insert(0, Missing())
"""
    kind, words, quiet = told(missing)
    assert kind == "ImportError"
    assert words == "seqloss.torch needs PyTorch, which is not installed: pip install 'seqloss[torch]'."
    assert quiet == "True"


def test_a_broken_torch_keeps_its_own_error() -> None:
    broken = """
class Broken:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            raise ModuleNotFoundError("No module named 'sympy'", name="sympy")
sys.meta_path.insert(0, Broken())
"""
    assert told(broken)[:2] == ["ModuleNotFoundError", "No module named 'sympy'"]


def test_the_reference_is_not_loaded_by_the_frontend() -> None:
    code = "import sys, seqloss.torch; print(*(name for name in sys.modules if name.startswith('seqloss.reference')))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found.split() == []


def test_the_contract_knows_no_framework() -> None:
    assert "torch" not in vars(contract)
