"""The losses of pairs and triplets in PyTorch: derivatives of every order and way, compilers, devices, modules."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from seqloss.errors import DTypeError, LabelError, OptionError, ShapeError
from seqloss.torch import CosineTriplet, PairwiseKLHinge, cosine_triplet, pairwise_kl_hinge, pick_triplets

LABELS = torch.tensor([0, 1, 0, 2])
KL_OPTIONS = [
    {"margin": 2.0},
    {"hinge": "softplus", "class_reduction": "mean"},
    {"from_logits": False, "margin": 2.0},
]


def rows(from_logits: bool = True) -> torch.Tensor:
    x = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    return x if from_logits else (x / 2).softmax(1)


def triplets() -> tuple[torch.Tensor, ...]:
    return tuple(torch.randn(3, 2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2)))


def kl(options: dict[str, object]) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda x: pairwise_kl_hinge(x, LABELS, reduction="none", **options)


@pytest.mark.parametrize("options", KL_OPTIONS)
def test_derivatives_of_the_kl_loss_pass_pytorchs_checks(options: dict[str, object]) -> None:
    x = rows(options.get("from_logits", True)).requires_grad_()
    assert torch.autograd.gradcheck(kl(options), x, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(kl(options), x, check_fwd_over_rev=True)


def test_derivatives_of_the_triplet_loss_pass_pytorchs_checks() -> None:
    given = [x.requires_grad_() for x in triplets()]
    loss = lambda *given: cosine_triplet(*given, margin=2.5, reduction="none")  # noqa: E731
    assert torch.autograd.gradcheck(loss, given, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(loss, given, check_fwd_over_rev=True)


@pytest.mark.parametrize("options", KL_OPTIONS)
def test_transforms_of_the_kl_loss(options: dict[str, object]) -> None:
    x = rows(options.get("from_logits", True))
    loss = lambda x: pairwise_kl_hinge(x, LABELS, **options)  # noqa: E731
    expected = torch.autograd.functional.hessian(loss, x)
    torch.testing.assert_close(torch.func.hessian(loss)(x), expected)
    batch = torch.stack([x, x.flip(0)])
    torch.testing.assert_close(torch.func.vmap(loss)(batch), torch.stack([loss(x), loss(x.flip(0))]))


def test_transforms_of_the_triplet_losses() -> None:
    anchor, positive, negative = triplets()
    loss = lambda x: cosine_triplet(x, positive, negative, margin=2.5)  # noqa: E731
    torch.testing.assert_close(torch.func.hessian(loss)(anchor), torch.autograd.functional.hessian(loss, anchor))
    batch = torch.stack([anchor, positive])
    torch.testing.assert_close(torch.func.vmap(loss)(batch), torch.stack([loss(anchor), loss(positive)]))
    module = CosineTriplet(margin=2.5)
    chosen = lambda x: module(x, LABELS)  # noqa: E731
    torch.testing.assert_close(
        torch.func.hessian(chosen)(rows()), torch.autograd.functional.hessian(chosen, rows()), atol=1e-9, rtol=0
    )


def test_compiled_as_one_graph() -> None:
    x = rows().float()
    for module in (PairwiseKLHinge(), CosineTriplet(negatives="hardest")):
        compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
        torch.testing.assert_close(compiled(x, LABELS), module(x, LABELS))
    probabilities = PairwiseKLHinge(from_logits=False)
    compiled = torch.compile(probabilities, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x.softmax(1), LABELS), probabilities(x.softmax(1), LABELS))
    assert torch.isnan(compiled(x, LABELS)), "rows that are no probabilities, where values are not seen"


def test_autocast_does_not_round_the_products() -> None:
    x = torch.randn(8, 16, generator=torch.Generator().manual_seed(3))
    labels = torch.arange(8) % 2
    for loss in (PairwiseKLHinge(), CosineTriplet()):
        expected = loss(x, labels)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = loss(x, labels)
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, expected)


def test_strides_do_not_matter() -> None:
    x = torch.randn(3, 4, generator=torch.Generator().manual_seed(4)).t()
    for loss in (PairwiseKLHinge(), CosineTriplet()):
        torch.testing.assert_close(loss(x, LABELS), loss(x.contiguous(), LABELS))


@pytest.mark.parametrize("negatives", ["semi-hard", "hardest"])
def test_the_module_computes_what_picked_triplets_give(negatives: str) -> None:
    x = torch.randn(9, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    labels = torch.tensor([0, 1, 2, 0, 1, 2, 0, 3, 3])
    picked = pick_triplets(x, labels, negatives=negatives)
    given = x.clone().requires_grad_()
    chosen = x.clone().requires_grad_()
    first = CosineTriplet()(given, labels, picked)
    second = CosineTriplet(negatives=negatives)(chosen, labels)
    torch.testing.assert_close(first, second)
    first.backward()
    second.backward()
    torch.testing.assert_close(given.grad, chosen.grad)


def test_the_modules_random_negatives_are_of_other_labels() -> None:
    """Two labels, opposite each other: every random negative is the same distance away."""
    x = torch.tensor([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [-1.0, 0.0]])
    loss = CosineTriplet(margin=2.25, negatives="random", reduction="none")(x, torch.tensor([0, 0, 1, 1]))
    assert loss.tolist() == [[0, 0.25, 0, 0], [0.25, 0, 0, 0], [0, 0, 0, 0.25], [0, 0, 0.25, 0]]


def test_batches_without_a_triplet() -> None:
    with pytest.raises(LabelError, match="there is no negative"):
        CosineTriplet()(rows(), torch.zeros(4, dtype=torch.long))
    x = rows().requires_grad_()
    loss = CosineTriplet(validate=False)(x, torch.zeros(4, dtype=torch.long))
    loss.backward()
    assert loss == 0
    assert not x.grad.any()
    assert CosineTriplet()(torch.zeros(0, 3), torch.zeros(0, dtype=torch.long)) == 0


def test_miners_of_pytorch_metric_learning_plug_in() -> None:
    miners = pytest.importorskip("pytorch_metric_learning.miners")
    distances = pytest.importorskip("pytorch_metric_learning.distances")
    losses = pytest.importorskip("pytorch_metric_learning.losses")
    reducers = pytest.importorskip("pytorch_metric_learning.reducers")
    x = torch.randn(9, 4, generator=torch.Generator().manual_seed(6))
    labels = torch.tensor([0, 1, 2, 0, 1, 2, 0, 3, 3])
    cosine = distances.CosineSimilarity()
    theirs = losses.TripletMarginLoss(0.3, distance=cosine, reducer=reducers.MeanReducer())
    for miner in (
        miners.TripletMarginMiner(0.3, "semihard", distance=cosine),
        miners.BatchHardMiner(distance=cosine),
        miners.BatchEasyHardMiner(distance=cosine),
    ):
        mined = miner(x, labels)
        triplets = mined if len(mined) == 3 else (mined[0], mined[1], mined[3])
        assert len(triplets[0]) > 0
        torch.testing.assert_close(CosineTriplet()(x, labels, triplets), theirs(x, labels, triplets))


def test_pair_miners_are_told_apart() -> None:
    index = torch.tensor([0])
    with pytest.raises(ShapeError, match=r"triplets: expected \(anchor, positive, negative\), found 4 parts"):
        CosineTriplet()(rows(), LABELS, (index,) * 4)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (([0, 1], [1], [2, 3]), ShapeError, "triplets: positive: expected 2 row numbers, one for each anchor, found 1"),
        (([[0]], [[1]], [[2]]), ShapeError, r"triplets: anchor: expected shape \(triplets,\), found \(1, 1\)"),
        (([True, False], [1, 0], [2, 3]), DTypeError, r"triplets: anchor: expected integers, .* mask\.nonzero\(\)"),
        (
            ([0.0], [1.0], [2.0]),
            DTypeError,
            r"triplets: anchor: expected integers, the numbers of rows, found torch\.fl",
        ),
        (([0], [1], [-1]), LabelError, r"triplets: negative\[0\]: found row -1, expected 0 to 3 for 4 rows"),
        (([0, 0], [1, 9], [2, 2]), LabelError, r"triplets: positive\[1\]: found row 9, expected 0 to 3 for 4 rows"),
    ],
)
@pytest.mark.parametrize("form", [torch.tensor, np.array])
def test_triplets_that_are_no_row_numbers_of_the_batch_are_refused(
    form: Callable[[object], object], given: tuple[list[object]], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        CosineTriplet()(rows(), LABELS, tuple(map(form, given)))


def test_given_triplets_may_be_lists_or_arrays_or_of_any_integer_type() -> None:
    x, picked = rows(), ([0, 2], [2, 0], [1, 3])
    expected = CosineTriplet()(x, LABELS, tuple(map(torch.tensor, picked)))
    for form in (list, np.array, lambda part: torch.tensor(part, dtype=torch.uint8)):
        torch.testing.assert_close(CosineTriplet()(x, LABELS, tuple(map(form, picked))), expected)
    assert CosineTriplet()(x, LABELS, ([], [], [])) == 0


def test_given_triplets_compile_as_one_graph() -> None:
    x, picked = rows().float(), tuple(map(torch.tensor, ([0, 2], [2, 0], [1, 3])))
    compiled = torch.compile(CosineTriplet(), fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x, LABELS, picked), CosineTriplet()(x, LABELS, picked))


def test_modules_refuse_options_at_once() -> None:
    with pytest.raises(OptionError, match="margin"):
        PairwiseKLHinge(margin=-1)
    with pytest.raises(OptionError, match="negatives"):
        CosineTriplet(negatives="easy")
    assert repr(CosineTriplet()) == "CosineTriplet(margin=0.3, negatives='semi-hard', reduction='mean')"


def test_labels_may_be_arrays_or_lists_or_of_any_integer_type() -> None:
    x = rows()
    expected = pairwise_kl_hinge(x, LABELS)
    for labels in (LABELS.tolist(), LABELS.numpy().astype(np.uint8), LABELS.to(torch.int16)):
        assert pairwise_kl_hinge(x, labels) == expected
