"""Each way to break the contract gives its own error, and the message holds the facts."""

import numpy as np
import pytest

from seqloss import contract, errors

SHAPE = (2, 6, 4)  # (batch, time, classes)


def refused(error: type[Exception], *parts: str, call=contract.validate, args=(), **options):  # type: ignore[no-untyped-def]
    """Call, expect the error, and expect all parts in its message."""
    with pytest.raises(error) as caught:
        call(*args, **options)
    for part in parts:
        assert part in str(caught.value), str(caught.value)


class TestValid:
    def test_none_means_all_of_the_axis(self) -> None:
        batch = contract.validate(SHAPE, [[1, 2, 3], [3, 2, 1]])
        assert batch.logit_lengths.tolist() == [6, 6]
        assert batch.target_lengths.tolist() == [3, 3]
        assert batch.blank == 0

    @pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.uint64])
    def test_any_integer_type_becomes_contiguous_int64(self, dtype: type[np.integer]) -> None:
        targets = np.array([[1, 3], [2, 0]], dtype).T[:, ::-1].T  # odd strides
        lengths = np.array([2, 1], dtype)
        batch = contract.validate(SHAPE, targets[::-1], lengths, lengths)
        assert batch.targets.tolist() == [[1, 3], [2, 0]]
        for array in (batch.targets, batch.logit_lengths, batch.target_lengths):
            assert array.dtype == np.int64
            assert array.flags.c_contiguous

    @pytest.mark.parametrize("dtype", [np.int8, np.uint8])
    def test_narrow_types_meet_axes_longer_than_they_can_count(self, dtype: type) -> None:
        contract.validate((1, 4000, 1000), np.array([[1, 100]], dtype), np.array([120], dtype), blank=999)

    @pytest.mark.parametrize(("blank", "found"), [(0, 0), (3, 3), (-1, 3), (-4, 0), (np.int8(-2), 2)])
    def test_a_negative_blank_counts_from_the_end(self, blank: int, found: int) -> None:
        assert contract.validate(SHAPE, np.zeros((2, 0), int), blank=blank).blank == found

    def test_labels_past_a_length_are_never_looked_at(self) -> None:
        batch = contract.validate(SHAPE, [[1, -100, 0], [3, 3, 99]], [6, 0], [1, 2])
        assert batch.target_lengths.tolist() == [1, 2]

    def test_concatenated_targets_become_padded_ones(self) -> None:
        batch = contract.validate((3, 6, 4), [1, 2, 3, 1], None, [3, 0, 1])
        assert [row[:n].tolist() for row, n in zip(batch.targets, batch.target_lengths, strict=True)] == [
            [1, 2, 3],
            [],
            [1],
        ]

    @pytest.mark.parametrize("targets", [[[], []], np.zeros((2, 0), np.int64)], ids=["list", "array"])
    def test_empty_targets_need_no_type(self, targets) -> None:  # type: ignore[no-untyped-def]
        assert contract.validate(SHAPE, targets).targets.shape == (2, 0)

    @pytest.mark.parametrize("shape", [(0, 6, 4), (0, 0, 1)])
    def test_a_batch_of_none_works(self, shape: tuple[int, int, int]) -> None:
        batch = contract.validate(shape, np.zeros((0, 3), int), [], [])
        assert batch.targets.shape == (0, 3)
        assert contract.validate(shape, [], None, []).targets.shape == (0, 0)

    def test_a_time_axis_of_none_and_one_class_work(self) -> None:
        assert contract.validate((1, 0, 4), [[1]]).logit_lengths.tolist() == [0]
        assert contract.validate((1, 5, 1), [[]]).targets.shape == (1, 0)

    def test_without_values_only_shapes_and_types_are_checked(self) -> None:
        batch = contract.validate(SHAPE, [[7, 0], [-3, 1]], [99, -1], [5, -2], values=False)
        assert batch.targets.tolist() == [[7, 0], [-3, 1]]
        assert batch.logit_lengths.tolist() == [99, -1]
        refused(errors.DTypeError, "targets", args=(SHAPE, [[0.5], [1.0]]), values=False)
        refused(errors.ShapeError, "targets", args=(SHAPE, [[1]]), values=False)


class TestForms:
    """Arguments whose values cannot be seen."""

    def test_a_form_is_checked_as_an_array_is(self) -> None:
        form = contract.form_of
        refused(errors.DTypeError, "targets: expected integers, found float32", args=(SHAPE, form("float32", (2, 3))))
        refused(errors.ShapeError, "targets: expected 2 rows", args=(SHAPE, form("int64", (3, 3))))
        refused(errors.ShapeError, "need target_lengths", args=(SHAPE, form("int64", (3,))))
        refused(errors.ShapeError, "logit_lengths: expected 2 rows", args=(SHAPE, [[1], [1]], form("int8", (3,))))
        refused(errors.ShapeError, "target_lengths", args=(SHAPE, [[1], [1]], None, form("int8", (2, 1))))

    def test_what_can_be_seen_beside_a_form_is_checked(self) -> None:
        unseen, lengths = contract.form_of("int32", (2, 3)), contract.form_of("int32", (2,))
        refused(errors.LengthError, "logit_lengths[1]: found 7", args=(SHAPE, unseen, [6, 7]))
        refused(errors.LengthError, "target_lengths[0]: found 4", args=(SHAPE, unseen, lengths, [4, 1]))
        refused(errors.LengthError, "add up to 4", args=(SHAPE, contract.form_of("int32", (5,)), None, [3, 1]))
        refused(errors.LabelError, "targets[0, 0]: found label 9", args=(SHAPE, [[9], [1]], lengths))

    def test_labels_of_unseen_lengths_are_not_looked_at(self) -> None:
        contract.validate(SHAPE, [[9], [1]], None, contract.form_of("int32", (2,)))
        contract.validate(SHAPE, [9, 1, 1], None, contract.form_of("int32", (2,)))


class TestLabels:
    @pytest.mark.parametrize(
        ("label", "cause"),
        [
            (4, "seem to count from 1"),
            (7, "vocabulary is larger"),
            (-1, "looks like padding"),
            (-100, "looks like padding"),
            (0, "the blank is never part of a target"),
            (2**32 + 1, "vocabulary is larger"),
        ],
    )
    def test_a_label_that_is_no_class_is_named_with_its_cause(self, label: int, cause: str) -> None:
        where, expected = f"targets[1, 2]: found label {label},", "expected 0 to 3 without the blank 0"
        refused(errors.LabelError, where, expected, cause, args=(SHAPE, [[1, 2, 3], [3, 2, label]]))

    @pytest.mark.parametrize("label", [2**63 + 5, 2**64 - 1, 2**63 + 1, 2**32 + 1])
    def test_labels_are_checked_before_any_narrowing(self, label: int) -> None:
        targets = np.array([[1], [label]], np.uint64)
        refused(errors.LabelError, f"targets[1, 0]: found label {label},", args=(SHAPE, targets))
        refused(
            errors.LabelError,
            f"targets[1, 0]: found label {label},",
            args=(SHAPE, targets[:, 0], None, [1, 1]),
        )

    def test_the_first_bad_label_is_named(self) -> None:
        refused(errors.LabelError, "targets[0, 1]: found label 9", args=(SHAPE, [[1, 9], [9, 1]]))

    def test_the_blank_is_refused_at_any_position_of_a_target(self) -> None:
        refused(errors.LabelError, "found label 3", "without the blank 3", args=(SHAPE, [[1], [3]]), blank=-1)

    def test_a_bad_concatenated_label_is_named_by_row_and_position(self) -> None:
        refused(errors.LabelError, "targets[1, 0]: found label 8", args=(SHAPE, [1, 2, 8], None, [2, 1]))

    @pytest.mark.parametrize("blank", [4, -5, 2**40])
    def test_a_blank_outside_the_classes_is_refused(self, blank: int) -> None:
        parts = (f"blank: found {blank}", "expected -4 to 3 for 4 classes", "-1 or classes - 1")
        refused(errors.LabelError, *parts, args=(SHAPE, [[1], [1]]), blank=blank)

    @pytest.mark.parametrize("blank", [True, False, np.True_, 0.0, "0", None])
    def test_a_blank_that_is_no_int_is_refused(self, blank: object) -> None:
        parts = ("blank: expected an int", type(blank).__name__)
        refused(errors.DTypeError, *parts, args=(SHAPE, [[1], [1]]), blank=blank)


class TestShapes:
    @pytest.mark.parametrize("shape", [(), (6, 4), (1, 2, 6, 4)])
    def test_logits_need_three_axes(self, shape: tuple[int, ...]) -> None:
        parts = ("logits: expected shape (batch, time, classes)", f"found {shape}", "logits[None]")
        refused(errors.ShapeError, *parts, args=(shape, [[1]]))

    def test_concatenated_targets_need_lengths(self) -> None:
        parts = ("targets: expected shape (batch, labels), found (3,)", "need target_lengths")
        refused(errors.ShapeError, *parts, args=(SHAPE, [1, 2, 3]))

    @pytest.mark.parametrize("targets", [1, [[[1]], [[1]]]])
    def test_targets_have_one_or_two_axes(self, targets: object) -> None:
        refused(errors.ShapeError, "targets: expected shape (batch, labels) or (sum", args=(SHAPE, targets))

    @pytest.mark.parametrize(
        ("name", "args"),
        [
            ("targets", ([[1]] * 3,)),
            ("logit_lengths", ([[1]] * 2, [6, 6, 6])),
            ("target_lengths", ([[1]] * 2, None, [1])),
            ("target_lengths", ([1, 2, 3], None, [1, 1, 1])),
        ],
    )
    def test_each_argument_has_a_row_for_each_row_of_logits(self, name: str, args: tuple[object, ...]) -> None:
        refused(errors.ShapeError, f"{name}: expected 2 rows", "batch first", args=(SHAPE, *args))

    @pytest.mark.parametrize("name", ["logit_lengths", "target_lengths"])
    @pytest.mark.parametrize("lengths", [1, [[1], [1]]], ids=["scalar", "column"])
    def test_lengths_have_one_axis(self, name: str, lengths: object) -> None:
        refused(errors.ShapeError, f"{name}: expected shape (batch,)", args=(SHAPE, [[1], [1]]), **{name: lengths})


class TestTypes:
    @pytest.mark.parametrize("targets", [np.ones((2, 1)), np.ones((2, 1), bool), [["a"], ["b"]], [[2**70], [1]]])
    def test_targets_must_be_integers(self, targets: object) -> None:
        parts = ("targets: expected integers", str(np.asarray(targets).dtype), "convert it")
        refused(errors.DTypeError, *parts, args=(SHAPE, targets))

    @pytest.mark.parametrize("name", ["logit_lengths", "target_lengths"])
    def test_lengths_must_be_integers(self, name: str) -> None:
        parts = (f"{name}: expected integers", "float64")
        refused(errors.DTypeError, *parts, args=(SHAPE, [[1], [1]]), **{name: [1.0, 1.0]})

    def test_an_empty_float_array_has_the_wrong_type(self) -> None:
        refused(errors.DTypeError, "targets", "float64", args=(SHAPE, np.zeros((2, 0))))


class TestLengths:
    @pytest.mark.parametrize(
        ("name", "length", "limit", "cause"),
        [
            ("logit_lengths", 7, "0 to 6 (the size of the time axis)", "after the network's subsampling"),
            ("logit_lengths", -1, "0 to 6", "padding value or an overflow"),
            ("target_lengths", 3, "0 to 2 (the size of the labels axis)", "without padding"),
            ("target_lengths", -2, "0 to 2", "padding value or an overflow"),
            ("logit_lengths", 2**40, "0 to 6", "subsampling"),
        ],
    )
    def test_a_length_off_its_axis_is_named_with_its_cause(
        self, name: str, length: int, limit: str, cause: str
    ) -> None:
        parts = (f"{name}[1]: found {length},", limit, cause)
        refused(errors.LengthError, *parts, args=(SHAPE, [[1, 2], [1, 2]]), **{name: [1, length]})

    @pytest.mark.parametrize("name", ["logit_lengths", "target_lengths"])
    @pytest.mark.parametrize("length", [2**63 + 5, 2**64 - 1])
    def test_lengths_are_checked_before_any_narrowing(self, name: str, length: int) -> None:
        lengths = {name: np.array([1, length], np.uint64)}
        refused(errors.LengthError, f"{name}[1]: found {length},", args=(SHAPE, [[1, 2], [1, 2]]), **lengths)

    @pytest.mark.parametrize("lengths", [[1, 1], [2, 2]])
    def test_lengths_of_concatenated_targets_must_add_up(self, lengths: list[int]) -> None:
        parts = (f"add up to {sum(lengths)}, expected 3", "no padding")
        refused(errors.LengthError, *parts, args=(SHAPE, [1, 2, 3], None, lengths))

    def test_a_negative_length_of_a_concatenated_target_is_named_as_such(self) -> None:
        refused(errors.LengthError, "target_lengths[0]: found -1", args=(SHAPE, [1, 2, 3], None, [-1, 4]))


class TestOptions:
    @pytest.mark.parametrize("infeasible", ["inf", "zero", "raise"])
    @pytest.mark.parametrize("reduction", ["none", "sum", "mean", "batch", "labels"])
    def test_known_words_pass(self, infeasible: str, reduction: str) -> None:
        contract.check_options(infeasible, reduction, None)
        contract.check_options(infeasible, "sum", 3)

    def test_unknown_words_are_answered_with_the_known_ones(self) -> None:
        check = contract.check_options
        parts = ("infeasible: found 'ignore'", "'inf', 'zero', 'raise'")
        refused(errors.OptionError, *parts, call=check, args=("ignore", "none", None))
        parts = ("reduction: found 'avg'", "'none', 'sum', 'mean', 'batch', 'labels'")
        refused(errors.OptionError, *parts, call=check, args=("inf", "avg", None))

    @pytest.mark.parametrize("reduction", ["none", "mean", "batch", "labels"])
    def test_a_denominator_goes_with_sum_alone(self, reduction: str) -> None:
        parts = ("denominator", 'reduction="sum" only', f"found reduction='{reduction}'")
        refused(errors.OptionError, *parts, call=contract.check_options, args=("inf", reduction, 2.0))

    @pytest.mark.parametrize("denominator", [0, -1.0, np.inf, np.nan])
    def test_a_denominator_is_a_positive_number(self, denominator: float) -> None:
        parts = ("denominator: expected a positive number", repr(denominator))
        refused(errors.OptionError, *parts, call=contract.check_options, args=("inf", "sum", denominator))


class TestFeasibility:
    TARGETS = np.array([[1, 1, 1, 2], [1, 1, 2, 2], [3, 3, 3, 3], [1, 2, 1, 2]])
    LENGTHS = np.array([4, 2, 0, 4])

    def test_adjacent_repeats_are_counted_inside_the_length(self) -> None:
        assert contract.adjacent_repeats(self.TARGETS, self.LENGTHS).tolist() == [2, 1, 0, 0]

    def test_a_row_needs_a_frame_per_label_and_per_repeat(self) -> None:
        assert contract.required_frames(self.TARGETS, self.LENGTHS).tolist() == [6, 3, 0, 4]

    @pytest.mark.parametrize("labels", [0, 1])
    def test_fewer_than_two_labels_never_repeat(self, labels: int) -> None:
        targets = np.ones((3, labels), np.int64)
        assert contract.adjacent_repeats(targets, np.full(3, labels)).tolist() == [0, 0, 0]

    def test_an_infeasible_row_is_raised_with_its_numbers(self) -> None:
        batch = contract.validate((2, 5, 4), [[1, 2, 3, 0], [1, 1, 1, 2]], None, [3, 4])
        parts = ("row 1", "4 labels with 2 adjacent repeats need 6 frames, found 5", 'infeasible="zero"')
        error = contract.infeasible_row(1, batch)
        assert isinstance(error, errors.InfeasibleError)
        assert all(part in str(error) for part in parts)
        closed = "every path meets a score of -inf (5 frames, 3 labels)"
        assert all(part in str(contract.infeasible_row(0, batch)) for part in ("row 0", closed))


class TestNormalized:
    def test_totals_of_up_to_one_and_slack_pass(self) -> None:
        contract.check_normalized(np.log([[[0.5, 0.5], [0.3, 0.0]], [[0.5009, 0.5], [0.1, 0.2]]]), np.array([2, 2]))

    def test_the_first_frame_over_one_is_named(self) -> None:
        log_probs = np.log([[[0.5, 0.5], [0.5, 0.5]], [[0.5, 0.5], [0.5, 0.5011]]])
        parts = ("logits[1, 1]", "normalize=False", "add up to 1.0011", "log_softmax once")
        refused(errors.NormalizationError, *parts, call=contract.check_normalized, args=(log_probs, np.array([2, 2])))

    def test_raw_scores_of_any_size_are_refused(self) -> None:
        parts = ("logits[0, 0]", "normalize=False")
        refused(
            errors.NormalizationError,
            *parts,
            call=contract.check_normalized,
            args=(np.full((1, 1, 3), 5e4), np.array([1])),
        )

    @pytest.mark.parametrize("score", [np.nan, np.inf])
    def test_a_frame_without_a_total_is_left_to_the_loss(self, score: float) -> None:
        contract.check_normalized(np.array([[[0.0, score]]]), np.array([1]))

    def test_frames_past_the_length_are_not_looked_at(self) -> None:
        contract.check_normalized(np.array([[[0.0], [4.0]]]), np.array([1]))


class TestReductions:
    LENGTHS = np.array([4, 0, 1])

    @pytest.mark.parametrize(
        ("reduction", "weights"),
        [
            ("sum", [1, 1, 1]),
            ("mean", [1 / 12, 1 / 3, 1 / 3]),
            ("batch", [1 / 3, 1 / 3, 1 / 3]),
            ("labels", [1 / 5, 1 / 5, 1 / 5]),
        ],
    )
    def test_each_reduction_has_the_weights_of_the_contract(
        self, reduction: contract.Reduction, weights: list[float]
    ) -> None:
        found = contract.reduction_weights(reduction, self.LENGTHS)
        np.testing.assert_allclose(found, weights, rtol=1e-15)
        assert found.dtype == np.float64

    def test_a_denominator_divides_the_sum(self) -> None:
        assert contract.reduction_weights("sum", self.LENGTHS, 8).tolist() == [0.125] * 3

    def test_targets_without_any_label_divide_by_one(self) -> None:
        assert contract.reduction_weights("labels", np.array([0, 0])).tolist() == [1.0, 1.0]

    @pytest.mark.parametrize("reduction", ["sum", "mean", "batch", "labels"])
    def test_a_batch_of_none_has_no_weights(self, reduction: contract.Reduction) -> None:
        assert contract.reduction_weights(reduction, np.zeros(0, np.int64)).shape == (0,)

    def test_lengths_that_break_the_contract_count_as_nothing(self) -> None:
        assert contract.reduction_weights("labels", np.array([-7, 2])).tolist() == [0.5, 0.5]
        assert contract.reduction_weights("mean", np.array([-7, 2])).tolist() == [0.5, 0.25]


class TestProbabilities:
    def test_frames_in_0_to_1_that_add_up_to_1_are_recognised(self) -> None:
        for frames in ([[0.2, 0.8], [1.0, 0.0]], [[0.5, 0.5]], [[0.25, 0.25, 0.50005]]):
            assert contract.look_like_probabilities(np.array(frames)), frames

    def test_other_frames_are_not(self) -> None:
        for frames in ([[0.2, 0.8], [0.2, 0.7]], [[1.2, -0.2]], [[0.6, 0.6, -0.2]], [[1.0], [1.0]], [[np.nan, 1.0]]):
            assert not contract.look_like_probabilities(np.array(frames)), frames
        assert not contract.look_like_probabilities(np.zeros((0, 4)))
        assert not contract.look_like_probabilities(np.zeros((2, 4)))
        assert not contract.look_like_probabilities(np.array([[0.25, 0.25, 0.515]]))

    def test_the_slack_grows_with_the_rounding_of_a_half_type(self) -> None:
        assert contract.look_like_probabilities(np.array([[0.25, 0.25, 0.515]]), 2.0**-7)

    def test_values_that_were_rounded_and_frames_of_zeros_are_probabilities_too(self) -> None:
        assert contract.look_like_probabilities(np.array([[0.25, 0.25, 0.504]]))
        assert contract.look_like_probabilities(np.array([[0.25, 0.25, 0.5], [0.0, 0.0, 0.0]]))

    def test_the_first_row_of_probabilities_is_refused(self) -> None:
        scores = np.log([[[0.2, 0.8], [0.4, 0.6]]] * 3)
        scores[1:] = np.exp(scores[1:])
        losses = np.array([1.2, -1.2, -1.2])
        refused(errors.NormalizationError, "logits: row 1 holds", call=contract.refuse_probabilities,
                args=(scores, np.array([2, 2, 2]), losses))  # fmt: skip
        contract.refuse_probabilities(scores, np.array([2, 0, 0]), losses)
        contract.refuse_probabilities(scores[:, :0], np.array([0, 0, 0]), np.zeros(3))
        contract.refuse_probabilities(np.array([[[np.inf, -np.inf], [0.5, 0.5]]]), np.array([2]), np.array([np.nan]))
