"""`CTCLoss`: called as torch.nn.CTCLoss is, and where it differs, differing on purpose."""

from __future__ import annotations

import copy
import inspect
import pickle
import warnings
from typing import Any

import numpy as np
import pytest
import torch

from seqloss import errors
from seqloss.reference import ctc_loss_and_grad
from seqloss.torch import CTCLoss, ctc_loss

TARGETS, FRAMES, LABELS = torch.tensor([[1, 2, 2], [3, 1, 0]]), torch.tensor([7, 5]), torch.tensor([3, 2])
TORCH = torch.nn.CTCLoss
NAN, INF = float("nan"), float("inf")


def scores() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).normal(size=(7, 2, 4)))


def leaf() -> torch.Tensor:
    return scores().log_softmax(2).requires_grad_()


def answer(
    log_probs: torch.Tensor, *args: Any, kind: type = CTCLoss, upstream: Any = None, **options: Any
) -> tuple[torch.Tensor, torch.Tensor]:
    """Loss and gradient, as float64."""
    x = log_probs.detach().clone().requires_grad_()
    loss = kind(**{"reduction": "none", **options})(x, *(args or (TARGETS, FRAMES, LABELS)))
    loss.backward(torch.ones_like(loss) if upstream is None else torch.as_tensor(upstream).to(loss))
    return loss.detach().double(), x.grad.double()


def assert_same(found: Any, expected: Any) -> None:
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0, equal_nan=True)


def test_the_signatures_are_torchs() -> None:
    for method in ("__init__", "forward"):
        ours, torchs = (inspect.signature(getattr(kind, method)).parameters for kind in (CTCLoss, TORCH))
        assert [(p.name, p.default, p.kind) for p in ours.values()] == [
            (p.name, p.default, p.kind) for p in torchs.values()
        ]


def test_it_is_a_module_without_state_that_copies_pickles_and_has_a_repr() -> None:
    loss = CTCLoss(2, "sum", True)
    assert isinstance(loss, torch.nn.Module)
    assert loss.state_dict() == {}
    assert repr(loss) == "CTCLoss(blank=2, reduction='sum', zero_infinity=True)"
    for twin in (pickle.loads(pickle.dumps(loss)), copy.deepcopy(loss)):
        assert repr(twin) == repr(loss)
        assert torch.equal(
            twin(leaf(), TARGETS.clamp(max=1), [7, 5], [1, 2]), loss(leaf(), TARGETS.clamp(max=1), [7, 5], [1, 2])
        )


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_the_gradient_of_the_scores_before_log_softmax_is_the_losss_own(reduction: str) -> None:
    def loss(x: torch.Tensor) -> torch.Tensor:
        return CTCLoss(reduction=reduction)(x.log_softmax(2), TARGETS, FRAMES, LABELS)

    assert torch.autograd.gradcheck(loss, (scores().requires_grad_(),))
    x, y = scores().requires_grad_(), scores().requires_grad_()
    loss(x).sum().backward()
    ctc_loss(y.transpose(0, 1), TARGETS, FRAMES, LABELS, reduction=reduction).sum().backward()
    torch.testing.assert_close(x.grad, y.grad, rtol=1e-12, atol=1e-15)


def test_a_row_without_labels_counts_as_one_of_length_1_in_the_mean() -> None:
    args = (TARGETS, FRAMES, torch.tensor([0, 2]))
    losses, _ = answer(leaf(), *args)
    mean, grad = answer(leaf(), *args, reduction="mean")
    torch.testing.assert_close(mean, (losses[0] + losses[1] / 2) / 2, rtol=1e-14, atol=0)
    assert grad[:, 0].any()
    torch.testing.assert_close((mean, grad), answer(leaf(), *args, reduction="mean", kind=TORCH))


LENGTHS = {
    "int64": lambda values: torch.tensor(values),
    "int32": lambda values: torch.tensor(values, dtype=torch.int32),
    "uint8": lambda values: torch.tensor(values, dtype=torch.uint8),
    "list": list,
    "tuple": tuple,
    "array": np.array,
    "list of tensors": lambda values: [torch.tensor(value) for value in values],
}


@pytest.mark.parametrize("targets", [TARGETS, TARGETS.int(), TARGETS.to(torch.int8), torch.tensor([1, 2, 2, 3, 1])])
@pytest.mark.parametrize("name", LENGTHS)
def test_targets_and_lengths_are_taken_in_every_form_of_torchs(name: str, targets: torch.Tensor) -> None:
    form = LENGTHS[name]
    assert_same(answer(leaf(), targets, form([7, 5]), form([3, 2])), answer(leaf()))


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize(
    "form", [lambda n: torch.tensor(n), lambda n: torch.tensor([n]), lambda n: (n,), lambda n: [n]]
)
@pytest.mark.parametrize("targets", [torch.tensor([1, 2, 2]), torch.tensor([[1, 2, 2]])])
def test_a_single_row_needs_no_batch(targets: torch.Tensor, form: Any, reduction: str) -> None:
    x = leaf()[:, 0]
    loss, grad = answer(x, targets, form(6), form(3), reduction=reduction)
    assert loss.shape == ()
    batched = answer(x[:, None], targets.reshape(1, 3), [6], [3], reduction=reduction)
    assert_same((loss, grad), (batched[0].reshape(()), batched[1][:, 0]))
    torch.testing.assert_close((loss, grad), answer(x, targets, form(6), form(3), reduction=reduction, kind=TORCH))


def test_infeasible_rows_are_inf_or_0_with_gradient_0() -> None:
    args = (TARGETS, torch.tensor([2, 5]), LABELS)
    alone = answer(leaf())
    for zero_infinity, expected in ((False, INF), (True, 0.0)):
        for upstream in ([1.0, 1.0], [INF, 1.0], [NAN, 1.0]):
            loss, grad = answer(leaf(), *args, zero_infinity=zero_infinity, upstream=upstream)
            assert loss[0] == expected
            assert loss[1] == alone[0][1]
            assert (grad[:, 0] == 0).all()
            assert torch.equal(grad[:, 1], alone[1][:, 1])
    assert answer(leaf(), *args, reduction="mean")[0] == INF
    assert answer(leaf(), *args, reduction="mean", zero_infinity=True)[0] == alone[0][1] / 2 / 2
    peer, peers = answer(leaf(), *args, kind=TORCH)
    torch.testing.assert_close(peer, answer(leaf(), *args)[0])
    assert peers[:, 0].isnan().any()  # the difference that is meant


@pytest.mark.parametrize("score", [NAN, INF, -INF, 1e30])
def test_frames_past_a_rows_length_are_never_read(score: float) -> None:
    x = leaf().detach()
    x[5:, 1] = score
    found = answer(x, upstream=[1.0, -2.0])
    assert_same(found, answer(leaf(), upstream=[1.0, -2.0]))
    assert (found[1][5:, 1] == 0).all()


def test_a_masked_class_has_gradient_0_and_the_others_that_of_torch() -> None:
    x = leaf().detach()
    x[1, 1, 2] = x[2, 1, 1] = -INF  # one that the row does not read, and one that it does
    (loss, grad), (peer, peers) = answer(x), answer(x, kind=TORCH)
    torch.testing.assert_close(loss, peer)
    assert grad[1, 1, 2] == grad[2, 1, 1] == 0
    assert peers[1, 1, 2].isnan()  # the difference that is meant
    torch.testing.assert_close(grad.where(peers.isfinite(), 0), peers.nan_to_num())


@pytest.mark.parametrize("score", [NAN, INF])
def test_nan_or_inf_in_an_unread_class_shows_in_its_own_gradient_alone(score: float) -> None:
    x = leaf().detach()
    x[1, 1, 2] = score
    (loss, grad), (expected, right) = answer(x), answer(leaf())
    assert torch.equal(loss, expected)
    right[1, 1, 2] = score
    assert_same([grad], [right])
    torch.testing.assert_close((loss, grad), answer(x, kind=TORCH), equal_nan=True)


def test_nan_in_a_class_that_is_read_poisons_its_row_alone() -> None:
    x = leaf().detach()
    x[1, 1, 3] = NAN
    (loss, grad), (expected, right) = answer(x), answer(leaf())
    assert loss.isnan().tolist() == [False, True]
    assert grad[:5, 1].isnan().all()
    assert (grad[5:, 1] == 0).all()
    assert_same([loss[0], grad[:, 0]], [expected[0], right[:, 0]])


@pytest.mark.parametrize("margin", [8.0, 16.0, 40.0])
def test_a_sure_models_float32_gradient_keeps_its_digits(margin: float) -> None:
    """Where exp(log_prob) and posterior are both near 1 their difference is as exact as the scores themselves."""
    path = torch.tensor([0, 1, 0, 0, 2, 2, 0, 3, 0, 0])
    scores = margin * torch.nn.functional.one_hot(path, 5)[:, None] + torch.linspace(-0.3, 0.3, 5)
    x = scores.double().log_softmax(2).float()
    args = torch.tensor([[1, 2, 3]]), [10], [3]
    _, grad = answer(x, *args)
    exact = x.transpose(0, 1).numpy().astype(np.longdouble)
    posterior = -ctc_loss_and_grad(exact, *(np.asarray(value) for value in args), normalize=False)[1]
    others = np.where(posterior > 0.5, 0, posterior).sum(axis=2, keepdims=True)
    terms = np.where(posterior > 0.5, [np.expm1(exact), -others + 0 * exact], [np.exp(exact), posterior])
    expected, size = (
        torch.from_numpy(values.astype(np.float64)).transpose(0, 1)
        for values in (terms[0] - terms[1], abs(terms).sum(0))
    )
    assert ((grad - expected).abs() <= 50 * 2.0**-24 * size + 2.0**-126).all()
    naive = (x.exp() - torch.from_numpy(posterior.astype(np.float32)).transpose(0, 1)).double()
    assert ((naive - expected).abs() > 50 * 2.0**-24 * size).any()


def test_a_row_has_the_same_bits_in_another_batch_padding_and_layout() -> None:
    x = leaf().detach().float()
    loss, grad = answer(x)
    wide = torch.full((12, 3, 4), NAN)
    wide[:7, [2, 0]] = x
    wide[:, 1] = 0.0
    targets = torch.tensor([[3, 1, -9, -9], [1, 1, 1, 1], [1, 2, 2, -9]])
    found = answer(wide, targets, [5, 12, 7], [2, 4, 3])
    assert_same((found[0][[2, 0]], found[1][:7, [2, 0]]), (loss, grad))
    assert_same(answer(x.transpose(0, 1).contiguous().transpose(0, 1)), (loss, grad))


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_half_types_are_computed_in_float32_and_the_gradient_is_rounded_once(kind: torch.dtype) -> None:
    x = leaf().detach().to(kind)
    upstream = [1 / 3, -1 / 7]
    loss, grad = answer(x, upstream=upstream)
    exact_loss, exact = answer(x.float(), upstream=upstream)
    assert CTCLoss()(x, TARGETS, FRAMES, LABELS).dtype == torch.float32
    assert_same((loss, grad), (exact_loss, exact.to(kind).double()))


def test_changing_log_probs_in_place_after_the_loss_does_not_change_its_gradient() -> None:
    x, y = leaf(), leaf()
    CTCLoss()(x, TARGETS, FRAMES, LABELS).backward()
    loss = CTCLoss()(y, TARGETS, FRAMES, LABELS)
    with torch.no_grad():
        y.fill_(-1e5)
    loss.backward()
    assert torch.equal(x.grad, y.grad)


def test_a_retained_graph_gives_the_same_gradient_again() -> None:
    x = leaf()
    loss = CTCLoss()(x, TARGETS, FRAMES, LABELS)
    (first,) = torch.autograd.grad(loss, x, retain_graph=True)
    kept = first.clone()
    first.zero_()
    (second,) = torch.autograd.grad(loss, x)
    assert kept.any()
    assert torch.equal(second, kept)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_without_a_graph_the_loss_has_the_same_bits_and_no_history(mode: type) -> None:
    with mode():
        loss = CTCLoss()(leaf(), TARGETS, FRAMES, LABELS)
    assert loss.grad_fn is None
    assert not loss.requires_grad
    assert torch.equal(loss, CTCLoss()(leaf(), TARGETS, FRAMES, LABELS).detach())


def test_an_empty_batch_and_a_negative_blank_are_taken() -> None:
    assert CTCLoss()(torch.zeros(4, 0, 3), torch.zeros(0, 2, dtype=torch.int64), [], []) == 0
    targets = TARGETS.clamp(max=2)
    assert_same(answer(leaf(), targets, FRAMES, LABELS, blank=-1), answer(leaf(), targets, FRAMES, LABELS, blank=3))


REFUSED: dict[str, tuple[tuple[Any, ...], type[Exception], str]] = {
    "a label past the classes": (
        (torch.tensor([[1, 4, 2], [3, 1, 0]]), FRAMES, LABELS),
        errors.LabelError,
        r"^targets\[0, 1\]: found label 4",
    ),
    "padding in a target": (
        (TARGETS, FRAMES, [3, 3]),
        errors.LabelError,
        r"^targets\[1, 2\]: found label 0, .*the blank is never part",
    ),
    "too many frames": (
        (TARGETS, [7, 8], LABELS),
        errors.LengthError,
        r"^input_lengths\[1\]: found 8, expected 0 to 7",
    ),
    "a negative length": ((TARGETS, FRAMES, [-1, 2]), errors.LengthError, r"^target_lengths\[0\]: found -1"),
    "concatenated targets that do not add up": (
        (torch.tensor([1, 2, 2, 3]), FRAMES, LABELS),
        errors.LengthError,
        "they add up to 5, expected 4",
    ),
    "lengths of another batch": (
        (TARGETS, [7, 7, 7], LABELS),
        errors.ShapeError,
        r"^input_lengths: expected 2 rows, one for each row of log_probs, found 3; "
        r"log_probs are time first: \(time, batch, classes\)\.$",
    ),
    "float labels": (
        (TARGETS.float(), FRAMES, LABELS),
        errors.DTypeError,
        "^targets: expected integers, found float32",
    ),
    "float lengths": ((TARGETS, FRAMES.float(), LABELS), errors.DTypeError, "^input_lengths: expected integers"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_refused_in_torchs_words(name: str) -> None:
    args, kind, words = REFUSED[name]
    with pytest.raises(kind, match=words) as caught:
        CTCLoss()(leaf(), *args)
    assert "logit" not in str(caught.value)


WITH_BLANK = TARGETS.clone().index_put_((torch.tensor(0), torch.tensor(0)), torch.tensor(0))
BLANK_WORDS = (
    r"targets\[0, 0\]: found label 0, .* give the blank a class of its own with CTCLoss\(blank=\.\.\.\), or shift"
)


def test_a_blank_in_a_target_names_the_setting_of_the_module() -> None:
    with pytest.raises(RuntimeError, match=f"^{BLANK_WORDS}") as caught:
        CTCLoss()(leaf(), WITH_BLANK, FRAMES, LABELS)
    assert isinstance(caught.value, errors.LabelError)


def test_a_compiled_module_keeps_the_names_of_its_arguments() -> None:
    compiled = torch.compile(CTCLoss(), backend="aot_eager")
    with pytest.raises(RuntimeError, match=BLANK_WORDS):
        compiled(leaf(), WITH_BLANK, FRAMES, LABELS)
    with pytest.raises(RuntimeError, match=r"input_lengths\[0\]: found 99, expected 0 to 7"):
        compiled(leaf(), TARGETS, FRAMES + 92, LABELS)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_probabilities_are_refused_and_their_logarithm_is_right(kind: torch.dtype) -> None:
    probabilities = leaf().detach().double().softmax(2)
    words = "^log_probs: row 0 holds probabilities .*, expected log-probabilities; take their logarithm"
    for log_probs in (probabilities.to(kind), probabilities.to(kind).requires_grad_()):
        with pytest.raises(RuntimeError, match=words) as caught:
            CTCLoss()(log_probs, TARGETS, FRAMES, LABELS)
        assert isinstance(caught.value, errors.NormalizationError)
    assert torch.nn.CTCLoss()(probabilities, TARGETS, FRAMES, LABELS) < 0
    found = CTCLoss()(probabilities.log().to(kind), TARGETS, FRAMES, LABELS)
    expected = torch.nn.CTCLoss()(probabilities.log(), TARGETS, FRAMES, LABELS)
    torch.testing.assert_close(found.double(), expected, rtol=8 * torch.finfo(kind).eps, atol=0.0)


def test_a_single_row_of_probabilities_is_refused() -> None:
    probabilities = leaf().detach().softmax(2)[:, 0]
    with pytest.raises(errors.NormalizationError, match=r"^log_probs: row 0 holds probabilities"):
        CTCLoss()(probabilities, TARGETS[0], FRAMES[0], LABELS[0])


def test_scores_that_are_no_probabilities_are_used_as_they_are() -> None:
    probabilities = leaf().detach().softmax(2)
    for log_probs in (probabilities * 0.9, probabilities - 0.1, torch.ones(7, 2, 1)):
        args = (TARGETS, FRAMES, LABELS) if log_probs.shape[2] > 1 else (TARGETS, FRAMES, LABELS * 0)
        expected = torch.nn.CTCLoss()(log_probs, *args)
        torch.testing.assert_close(CTCLoss()(log_probs, *args), expected)


@pytest.mark.parametrize(
    ("log_probs", "kind", "words"),
    [
        (np.zeros((7, 2, 4)), errors.DTypeError, "^log_probs: expected a torch.Tensor, found ndarray"),
        (torch.zeros(7, 2, 4, dtype=torch.int64), errors.DTypeError, "^log_probs: .*found torch.int64"),
        (
            torch.zeros(7),
            errors.ShapeError,
            r"^log_probs: expected shape \(time, batch, classes\) or \(time, classes\), found \(7,\)",
        ),
        (torch.zeros(1, 7, 2, 4), errors.ShapeError, "^log_probs: .*found "),
    ],
)
def test_log_probs_of_another_form_are_refused(log_probs: Any, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        CTCLoss()(log_probs, TARGETS, FRAMES, LABELS)


def test_a_blank_that_is_no_class_and_an_unknown_reduction_are_refused() -> None:
    with pytest.raises(errors.LabelError, match=r"^blank: found 4"):
        CTCLoss(blank=4)(leaf(), TARGETS, FRAMES, LABELS)
    with pytest.raises(errors.OptionError, match="reduction: found 'batch', expected one of 'none', 'mean', 'sum'"):
        CTCLoss(reduction="batch")  # type: ignore[arg-type]


def test_scores_whose_exponential_overflows_do_so_quietly_and_as_torchs() -> None:
    x = leaf().detach().float()
    x[1, 1, 2], x[2, 1, 1] = 200.0, 300.0  # one that the row does not read, and one that it does
    with warnings.catch_warnings(action="error"):
        loss, grad = answer(x)
    assert torch.equal(grad == INF, answer(x, kind=TORCH)[1] == INF)
    assert grad[1, 1, 2] == grad[2, 1, 1] == INF
    expected = answer(x.double(), kind=TORCH)  # in float32 torch's own rounding of a loss of -300 shows
    torch.testing.assert_close(loss.float(), expected[0].float())
    torch.testing.assert_close(grad.float(), expected[1].float())  # float64's e^200 is float32's inf


def test_a_batch_of_one_takes_single_lengths_as_torch_does() -> None:
    log_probs = torch.randn(7, 1, 4, generator=torch.Generator().manual_seed(0)).log_softmax(2)
    args = (log_probs, torch.tensor([[1, 3]]), torch.tensor(7), torch.tensor(2))
    torch.testing.assert_close(CTCLoss()(*args), torch.nn.CTCLoss()(*args))


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_a_runtime_error_too_and_pickles(name: str) -> None:
    args, kind, _ = REFUSED[name]
    with pytest.raises(RuntimeError) as caught:
        CTCLoss()(leaf(), *args)
    assert type(caught.value).__name__ == kind.__name__
    again = pickle.loads(pickle.dumps(caught.value))
    assert isinstance(again, kind)
    assert isinstance(again, RuntimeError)
    assert str(again) == str(caught.value)


def test_other_refusals_are_runtime_errors_too() -> None:
    for call, kind in (
        (lambda: CTCLoss(blank=4)(leaf(), TARGETS, FRAMES, LABELS), errors.LabelError),
        (lambda: CTCLoss()(np.zeros((7, 2, 4)), TARGETS, FRAMES, LABELS), TypeError),
        (lambda: CTCLoss()(leaf()[0, 0], TARGETS, FRAMES, LABELS), errors.ShapeError),
        (lambda: CTCLoss(reduction="batch"), errors.OptionError),  # type: ignore[arg-type]
    ):
        with pytest.raises(RuntimeError) as caught:
            call()
        assert isinstance(caught.value, kind)
    with pytest.raises(errors.LengthError) as plain:
        ctc_loss(leaf().transpose(0, 1), TARGETS, [8, 8], LABELS)
    assert not isinstance(plain.value, RuntimeError)


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_attributes_set_later_count_as_if_given_at_first(reduction: str) -> None:
    args = (TARGETS.clamp(max=2), torch.tensor([2, 5]), LABELS)
    for kind in (CTCLoss, TORCH):
        loss = kind()
        loss.blank, loss.reduction, loss.zero_infinity = 3, reduction, True
        torch.testing.assert_close(loss(leaf(), *args), TORCH(3, reduction, True)(leaf(), *args))


@pytest.mark.parametrize("reduction", ["batch", "labels", "Mean", "", None])
def test_a_reduction_set_later_is_what_torch_takes_and_nothing_else(reduction: Any) -> None:
    loss, peer = CTCLoss(), TORCH()
    loss.reduction = peer.reduction = reduction
    with pytest.raises(errors.OptionError, match=f"reduction: found {reduction!r}, expected one of 'none', 'mean'"):
        loss(leaf(), TARGETS, FRAMES, LABELS)
    with pytest.raises(ValueError, match="not a valid value for reduction"):
        peer(leaf(), TARGETS, FRAMES, LABELS)
