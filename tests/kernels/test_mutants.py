"""Each safeguard taken out of a copy of the kernels: the test that is there for it must fail."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import seqloss

HERE = Path(__file__).parent
MUTANTS = {
    "zero keeps a mantissa": (
        "numba/bits.py",
        "builder.select(nothing, constant(integers, 0), whole)",
        "whole",
        "ctc/test_blocks.py::test_no_batch_is_found_on_which_the_two_paths_disagree",
    ),
    "zero keeps an exponent": (
        "numba/bits.py",
        "builder.select(empty, args[2], builder.add(own, args[1]))",
        "builder.add(own, args[1])",
        "numba/test_extended_exponent.py::test_nothing_plus_nothing_and_nothing_times_anything_is_nothing",
    ),
    "a shifted-out power is garbage": (
        "numba/bits.py",
        "builder.select(tiny, constant(integers, 0), bits)",
        "bits",
        "numba/test_extended_exponent.py::test_a_power_under_the_smallest_normal_number_is_exactly_zero",
    ),
    "blocks of any depth": (
        "ctc/blocks.py",
        "DEEPEST = 480.0",
        "DEEPEST = 4800.0",
        "ctc/test_blocks.py::test_a_class_in_use_may_be_so_unlikely_and_no_more",
    ),
    "an emission that vanishes in float64 is none": (
        "ctc/emissions.py",
        "return select(less(x, full_like(x, -MASKED)), full_like(x, 0.0), x)",
        "return select(less(x, full_like(x, -708.0)), full_like(x, 0.0), x)",
        "ctc/test_rows.py::test_masks_of_ten_thousand_do_not_wrap_a_million_frames",
    ),
    "windows of any width": (
        "ctc/blocks.py",
        "WIDEST = 1480",
        "WIDEST = 14800",
        "ctc/test_blocks.py::test_states_that_drift_apart_are_steep",
    ),
    "neighbours any distance apart": (
        "ctc/blocks.py",
        "logical_or(wide, logical_or(far, less(full_like(high, limit), high - low)))",
        "logical_or(wide, less(full_like(high, limit), high - low))",
        "ctc/test_blocks.py::test_neighbouring_exponents_may_be_so_far_apart_and_no_further",
    ),
    "a window is the label's own": (
        "ctc/blocks.py",
        "high, low = maximum(high, one_before(high1, high)), minimum(low, one_before(low1, low))",
        "pass",
        "ctc/test_blocks.py::test_a_label_has_the_largest_exponent_of_its_window_less_the_raise",
    ),
    "a label without a window takes part": (
        "ctc/blocks.py",
        "select(logical_or(equal(own, none), equal(previous, none)), full_like(own, ABSENT), previous - own)",
        "previous - own",
        "ctc/test_blocks.py::test_a_label_whose_window_is_empty_takes_no_part",
    ),
    "a scale in one step": (
        "ctc/blocks.py",
        "return x * exp2_of_int32(first) * exp2_of_int32(second)",
        "return x * exp2_of_int32(first)",
        "ctc/test_blocks.py::test_a_step_of_more_than_a_power_of_two_can_be_is_made_in_two",
    ),
    "no certificate": (
        "ctc/gradient.py",
        "fine &= abs(load_one(totals, i) - 1.0) <= TOLERANCE",
        "fine &= True",
        "ctc/test_blocks.py::test_a_backward_pass_that_leaves_float64_is_uncertain_and_computed_again",
    ),
    "what is left out matters": (
        "ctc/blocks.py",
        "NEGLIGIBLE = 2.0**-200",
        "NEGLIGIBLE = 2.0**-20",
        "ctc/test_blocks.py::test_a_confident_model_of_a_long_target_visits_a_band_and_loses_nothing",
    ),
    "a segment begins too high": (
        "ctc/rows.py",
        "max(0, low - (end - start) // LANES - 2)",
        "max(0, low - 2)",
        "ctc/test_blocks.py::test_a_row_that_is_summed_again_segment_by_segment_agrees",
    ),
    "a block begins too high on the way back": (
        "ctc/backward.py",
        "first_chunk(row, begin), low - 2)",
        "first_chunk(row, begin), low)",
        "ctc/test_blocks.py::test_a_confident_model_of_a_long_target_visits_a_band_and_loses_nothing",
    ),
    "a mirror's labels may follow one another as the row's": (
        "ctc/halves.py",
        "row.skip[row.labels - l] if inside and l > 0",
        "row.skip[l] if inside and l > 0",
        "ctc/test_blocks.py::test_no_batch_is_found_on_which_the_two_paths_disagree",
    ),
    "where halves meet no blank is left out": (
        "ctc/halves.py",
        "if skip[l] > 0.0:",
        "if labels < 0:",
        "ctc/test_blocks.py::test_no_batch_is_found_on_which_the_two_paths_disagree",
    ),
    "where halves meet what no path has reached counts": (
        "ctc/halves.py",
        "reached = l // LANES <= last_chunk(half, half.frames)",
        "reached = True",
        "ctc/test_blocks.py::test_no_batch_is_found_on_which_the_two_paths_disagree",
    ),
    "NaN is laundered": (
        "numba/softmax.py",
        "if any_lane(not_below(total, full_like(total, np.inf))):",
        "if classes < 0:",
        "ctc/test_rows.py::test_a_non_finite_score_anywhere_in_a_frame_makes_its_row_alone_nan",
    ),
    "the others meet the 1": (
        "numba/softmax.py",
        "return total, ties",
        "return np.float64(np.float32(total + ties)) - ties, ties",
        "numba/test_softmax.py::test_others_of_a_ten_millionth_keep_their_digits",
    ),
    "one float32 sum over all classes": (
        "numba/softmax.py",
        "BLOCK = 32",
        "BLOCK = 10**9",
        "numba/test_softmax.py::test_the_sum_of_the_others_is_right_to_two_roundings",
    ),
    "exponentials that vanish are not looked for": (
        "numba/softmax.py",
        "NEAR = 87.0",
        "NEAR = 1e9",
        "numba/test_softmax.py::test_exponentials_are_right_at_any_distance_below_the_largest_score",
    ),
    "ties are not counted": (
        "numba/softmax.py",
        "part, ties = part + e, ties + as_large",
        "part, ties = part + e, 1",
        "numba/test_softmax.py::test_ties_are_counted_to_the_last_among_thousands_of_others",
    ),
    "what a sum of scores says is not looked into": (
        "numba/softmax.py",
        "if not load_one(scores, start + c) < np.inf:",
        "if True:",
        "ctc/test_rows.py::test_finite_scores_whose_sum_overflows_are_finite",
    ),
    "a distance is rounded": (
        "numba/exponentials.py",
        "multiply_add(m, _minus_ln2_upper(x), x) - rest), power",
        "multiply_add(n, _minus_ln2_upper(x), distance)), power",
        "ctc/test_rows.py::test_a_loss_is_right_to_two_roundings_for_any_margin_and_offset_of_the_scores",
    ),
    "a large score is not taken away": (
        "numba/softmax.py",
        "FAR = 256.0",
        "FAR = np.inf",
        "numba/test_softmax.py::test_others_are_right_to_two_roundings_though_their_distance_has_more_digits_than_a_score",
    ),
    "no entry of a softmax is tiny": (
        "numba/softmax.py",
        "SHALLOW = 70.0",
        "SHALLOW = 1e9",
        "ctc/test_rows.py::test_entries_under_the_smallest_normal_number_are_exactly_zero",
    ),
    "places without a class hold an emission": (
        "ctc/emissions.py",
        "keep_first_lanes(e, count - full)",
        "e",
        "ctc/test_rows.py::test_loss_and_gradient_are_the_definitions_around_every_vector_width",
    ),
    "small others meet the 1 of their product": (
        "ctc/emissions.py",
        "return product + rest * (1.0 + product)",
        "return (1.0 + product) * (1.0 + rest) - 1.0",
        "ctc/test_rows.py::test_a_small_loss_of_2000_frames_keeps_its_digits",
    ),
    "what paths take back is in float32": (
        "ctc/emissions.py",
        "floor[count], counted[c] = -np.inf, 0.0",
        "floor[count] = -np.inf",
        "ctc/test_rows.py::test_what_a_targets_classes_add_to_the_softmax_the_paths_take_back",
    ),
    "posteriors are not normalised": (
        "ctc/gradient.py",
        "full_like(lanes, -1.0 / total)",
        "full_like(lanes, -1.0)",
        "ctc/test_blocks.py::test_no_batch_is_found_on_which_the_two_paths_disagree",
    ),
    "posteriors near 1 cancel": (
        "ctc/gradient.py",
        "if 2.0 * likeliest > total:",
        "if likeliest > 2.0 * total:",
        "ctc/test_rows.py::test_the_loss_and_gradient_of_a_confident_model_keep_their_digits",
    ),
    "emissions in float32": (
        "ctc/emissions.py",
        "return gather_float64(scores, start, load(frames.classes_used, u)) - most\n\n\n@inlined\ndef _sizes_in_use",
        "x = gather_float64(scores, start, load(frames.classes_used, u)) - most\n"
        "    y = x * full_like(x, 2.0**29 + 1.0)\n"
        "    return select(less(x, full_like(x, -1e6)), x, y - (y - x))\n\n\n@inlined\ndef _sizes_in_use",
        "ctc/test_rows.py::test_emissions_far_under_the_frames_largest_keep_their_ratios",
    ),
    "denormals stay": (
        "ctc/gradient.py",
        "store_one(result, at, g if abs(g) >= SMALLEST else 0.0)",
        "store_one(result, at, g)",
        "ctc/test_rows.py::test_a_likely_class_has_exactly_zero_for_an_entry_under_the_smallest_normal_number",
    ),
    "denormals stay in eight entries": (
        "ctc/gradient.py",
        "g = flush_tiny(convert_like(multiply_add(load(posterior, at), inverse, p), frames.result))",
        "g = convert_like(multiply_add(load(posterior, at), inverse, p), frames.result)",
        "ctc/test_rows.py::test_entries_under_the_smallest_normal_number_are_exactly_zero",
    ),
    "float64 with float32's series": (
        "numba/exponentials.py",
        "return _exp_polynomial6(r) if is_float32(r) else _exp_polynomial11(r)",
        "return _exp_polynomial6(r)",
        "numba/test_extended_exponent.py::test_exp_is_right_to_two_roundings_over_its_range",
    ),
    "float64 scores with the digits of float32 ones": (
        "numba/exponentials.py",
        "return scale_by_low_bits(_exp_polynomial9(r) if is_float32(scores) else _exp_polynomial11(r), power)",
        "return scale_by_low_bits(_exp_polynomial9(r), power)",
        "ctc/test_rows.py::test_one_frames_probabilities_have_all_digits_of_the_scores_type",
    ),
    "ln 2 in one piece": (
        "numba/exponentials.py",
        "multiply_add(n, _minus_ln2_lower(x),",
        "multiply_add(n, full_like(x, 0.0),",
        "numba/test_extended_exponent.py::test_exp_is_right_to_two_roundings_over_its_range",
    ),
    "a frame of nothing but -inf passes": (
        "ctc/emissions.py",
        "non_finite |= not (top > -np.inf)",
        "non_finite |= np.isnan(top)",
        "../contract/test_poison.py",
    ),
    "scratch for fewer numbers than there are": (
        "ctc/rows.py",
        "slots_size(classes if dense else min(classes, labels + 1))",
        "slots_size(classes if dense else labels + 1)",
        "ctc/test_workspace.py::test_nothing_is_written_outside_the_requested_scratch",
    ),
    "a rounded loss below 0": (
        "ctc/rows.py",
        "if normalize:\n        loss = loss if loss >= SMALLEST else 0.0",
        "if normalize:\n        loss = loss - 1e-16",
        "../contract/test_values.py",
    ),
    "no folder, no kernel": (
        "numba/kernel_cache.py",
        "except (OSError, RuntimeError):",
        "except ZeroDivisionError:",
        "numba/test_compilation.py::test_without_a_folder_that_can_be_written_the_kernel_works_all_the_same",
    ),
    "a fork keeps the parent's pool": (
        "numba/threads.py",
        "    os.register_at_fork(after_in_child=_reset_pool)",
        "    pass",
        "numba/test_threads.py::test_a_forked_child_makes_a_pool_of_its_own",
    ),
    "the cache looks at one file": (
        "numba/kernel_cache.py",
        'for path in sorted(folder.rglob("*.py")):',
        'for path in sorted(folder.glob("rows.py")):',
        "numba/test_compilation.py::test_an_edit_in_a_file_that_a_kernel_calls_is_seen",
    ),
    "a repeated label is skipped to on the way back": (
        "ctc/second_derivative.py",
        "skips = s % 2 == 1 and s + 2 < states and targets[s // 2] != targets[s // 2 + 1]",
        "skips = s % 2 == 1 and s + 2 < states",
        "ctc/test_second_derivative.py::test_kernel_and_formula_agree_on_large_and_hard_batches",
    ),
    "a tangent without the mean over the states": (
        "ctc/second_derivative.py",
        "weight * (shares[s] * (d[s] - mean))",
        "weight * (shares[s] * d[s])",
        "ctc/test_second_derivative.py::test_the_product_is_the_slope_of_the_gradient",
    ),
    "a softmax without its mean": (
        "ctc/second_derivative.py",
        "(direction[start + c] - average)",
        "direction[start + c]",
        "ctc/test_second_derivative.py::test_a_constant_added_to_a_frame_changes_nothing",
    ),
    "a masked class takes part": (
        "ctc/second_derivative.py",
        "emissions[s] = -np.inf if distance < -MASKED else distance",
        "emissions[s] = -np.inf if distance < -1e3 else distance",
        "ctc/test_second_derivative.py::test_kernel_and_formula_agree_on_large_and_hard_batches",
    ),
    "labels that reach the end in time are left out": (
        "ctc/align.py",
        "max(0, labels - 1 - (frames - start)) // LANES",
        "max(0, labels + 7 - (frames - start)) // LANES",
        "ctc/test_align.py::test_long_rows_are_decided_as_by_definition",
    ),
    "labels that a path reaches in a segment are left out": (
        "ctc/align.py",
        "high = min(labels, label + stop - begin) // LANES",
        "high = min(labels, label + (stop - begin) // 2) // LANES",
        "ctc/test_align.py::test_a_target_that_just_fits_has_its_only_path_and_a_longer_one_has_none",
    ),
    "of equally good states the first": (
        "ctc/align.py",
        "if score >= best:",
        "if score > best:",
        "ctc/test_align.py::test_with_any_distance_of_checkpoints_ties_are_decided_as_by_definition",
    ),
    "labels after a chunk do not count": (
        "ctc/maxima.py",
        "store(scratch, k * LANES, w)",
        "store(scratch, k * LANES, none)",
        "ctc/test_align.py::test_long_rows_are_decided_as_by_definition",
    ),
    "a repeated label follows itself without a blank": (
        "ctc/align.py",
        "l >= labels or (l > 0 and targets[l] == targets[l - 1])",
        "l >= labels",
        "ctc/test_align.py::test_a_target_that_just_fits_has_its_only_path_and_a_longer_one_has_none",
    ),
    "scores of a block that was replaced": (
        "ctc/relative_scores.py",
        "    _gather_block(row, begin, 0)\n    _make_relative(row, begin, 0)",
        "    if begin == 0:\n        _gather_block(row, begin, 0)\n        _make_relative(row, begin, 0)",
        "ctc/test_align.py::test_scores_that_are_not_kept_give_the_same_bits",
    ),
    "only the blank's score can be non-finite": (
        "ctc/relative_scores.py",
        "logical_or(wrong, not_below(score, infinity))",
        "wrong",
        "ctc/test_align.py::test_a_non_finite_score_is_found_in_any_frame",
    ),
    "a second derivative of a row that is not finite": (
        "ctc/second_derivative.py",
        "        if not finite:\n            continue\n",
        "",
        "ctc/test_second_derivative.py::test_rows_without_a_path_are_0_and_non_finite_or_refused_rows_are_nan_in_their_frames",
    ),
}


@pytest.mark.long
@pytest.mark.parametrize("name", MUTANTS)
def test_without_a_safeguard_its_test_fails(name: str, tmp_path: Path) -> None:
    file, text, mutation, test = MUTANTS[name]
    shutil.copytree(Path(seqloss.__file__).parent, tmp_path / "seqloss")
    source = tmp_path / "seqloss" / "kernels" / file
    assert source.read_text().count(text) >= 1, "the safeguard has moved: mend this table"
    source.write_text(source.read_text().replace(text, mutation))
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "SEQLOSS_CACHE_DIR": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", str(HERE / test)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 1, f"{test} passes without its safeguard:\n{done.stdout[-2000:]}"
