"""The docstring and the signature of every public function and class.

The sources are parsed, not imported: Keras would fix its backend for the process.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterator
from inspect import cleandoc

import pytest

from seqloss import errors
from tests.public_api import Documented, documented, public_names

CALLS = {
    "CTCLoss": ["forward"],
    "CTC": ["__call__", "call"],
    "CTCTrainerLoss": ["__call__"],
    "CosineTriplet": ["forward", "call"],
    "PairwiseKLHinge": ["forward", "call"],
    "SoftNearestNeighbor": ["call"],
}
"""What a user calls an object with: documented like a function."""

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
    "WatchCallback.loss": "takes the inputs of a model, a mapping of any values",
    "overfit_batch.backward": "what it returns is not looked at",
    "verify.function": "an implementation of any framework, made into NumPy arrays",
    "examine.scheduler": "torch has no common base class of learning rate schedules",
}
"""Public parameters whose annotation holds `Any`, and why."""


RAISES_NOTHING = {
    "seqloss.data.check_rows",
    "seqloss.data.make_rows_error",
    "seqloss.data.render_word",
    "seqloss.doctor.sanity_checks.count_infeasible",
    "seqloss.doctor.sanity_checks.describe_classes",
    "seqloss.doctor.sanity_checks.describe_feasibility",
    "seqloss.doctor.sanity_checks.describe_first_loss",
    "seqloss.doctor.sanity_checks.describe_input_ablation",
    "seqloss.doctor.sanity_checks.describe_overfit",
    "seqloss.doctor.sanity_checks.describe_scores",
    "seqloss.doctor.sanity_checks.describe_unseen",
    "seqloss.doctor.sanity_checks.uniform_ctc_loss",
}
"""Functions that report what is wrong with their arguments, or take any."""


def everything() -> Iterator[tuple[str, Documented]]:
    for found in public_names():
        node = found.node
        if not isinstance(node, ast.FunctionDef | ast.ClassDef):
            continue  # a constant
        yield found.path, documented(node)
        for method in node.body if isinstance(node, ast.ClassDef) else []:
            if isinstance(method, ast.FunctionDef) and method.name in CALLS.get(node.name, []):
                yield f"{found.path}.{method.name}", documented(method, f"{node.name}.{method.name}")


PUBLIC = dict(everything())
RESULTS = {name: found for name, found in PUBLIC.items() if found.fields}
ERRORS = {name for name, found in PUBLIC.items() if name.startswith("seqloss.errors.")} - set(RESULTS)
CALLED = {name: found for name, found in PUBLIC.items() if name not in RESULTS and name not in ERRORS}


def test_every_public_name_is_found() -> None:
    assert {"seqloss.numpy.ctc_loss", "seqloss.torch.CTCLoss.forward", "seqloss.jax.optax_ctc_loss"} <= set(CALLED)
    assert {"seqloss.keras.CTC", "seqloss.doctor.layers", "seqloss.doctor.lightning.GradientFlow"} <= set(CALLED)
    assert {"seqloss.set_num_threads", "seqloss.data.read_rows", "seqloss.training.engine.train"} <= set(CALLED)
    assert {"seqloss.torch.Alignment", "seqloss.data.Rows"} <= set(RESULTS)
    assert {"seqloss.errors.ShapeError", "seqloss.errors.SeqLossWarning"} <= ERRORS


@pytest.mark.parametrize("name", PUBLIC)
def test_a_docstring_has_a_summary_and_an_example(name: str) -> None:
    found = PUBLIC[name]
    summary = cleandoc(found.docstring).split("\n\n")[0]
    assert re.fullmatch(r"[A-Z][^\n]*\.", summary), "one sentence on one line"
    assert any(">>> " in line for line in found.section("Example") or [])


@pytest.mark.parametrize("name", CALLED)
def test_a_function_has_all_sections(name: str) -> None:
    found = CALLED[name]
    assert bool(found.section("Args")) == bool(found.parameters)
    assert bool(found.section("Returns") or found.section("Yields")) == (found.returns != "None")
    assert bool(found.section("Raises")) == (name not in RAISES_NOTHING)


@pytest.mark.parametrize("name", CALLED)
def test_args_names_every_parameter_of_the_signature_on_a_line_of_its_own(name: str) -> None:
    assert CALLED[name].entries("Args") == list(CALLED[name].parameters)


@pytest.mark.parametrize("name", PUBLIC)
def test_sections_of_names_hold_nothing_else(name: str) -> None:
    """Prose between the entries would not be shown in the API reference."""
    lines = [line for title in ("Args", "Attributes", "Raises") for line in PUBLIC[name].section(title) or []]
    assert [line for line in lines if re.match(r"    \S", line) and not re.match(r"    [*\w]+: \S", line)] == []


@pytest.mark.parametrize("name", PUBLIC)
def test_what_an_example_does_not_execute_is_a_sentence_or_indented(name: str) -> None:
    """Else the API reference would show code as prose."""
    paragraphs = "\n".join(PUBLIC[name].section("Example") or []).split("\n\n")
    assert [text for text in paragraphs if not re.match(r"\s*>>> |     +\S|    [A-Z].*:$|\s*$", text)] == []


@pytest.mark.parametrize("name", RESULTS)
def test_a_result_names_every_attribute_on_a_line_of_its_own(name: str) -> None:
    assert RESULTS[name].entries("Attributes") == RESULTS[name].fields


@pytest.mark.parametrize("name", sorted(set(CALLED) - RAISES_NOTHING))
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
