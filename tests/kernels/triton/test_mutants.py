"""Each safeguard taken out of a copy of the Triton kernels: in the interpreter, the test that is there for it fails."""

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
    "a label may follow its like without a blank between": (
        "ctc/sums.py",
        "skip + (follows & differs,)",
        "skip + (follows,)",
        "test_float64.py::test_any_number_of_labels_repeats_among_them",
    ),
    "no label may follow another at once": (
        "ctc/sums.py",
        "skip + (follows & differs,)",
        "skip + (follows & (one == 0),)",
        "test_float64.py::test_any_number_of_labels_repeats_among_them",
    ),
    "labels of the same class are not added up": (
        "ctc/prepared_targets.py",
        "following = tl.where(following == 2**31 - 1, -1, following)",
        "following = 0 * following - 1",
        "test_float64.py::test_any_number_of_labels_repeats_among_them",
    ),
    "the others meet the 1": (
        "ctc/frames.py",
        "before + sum_pairwise(lane_others, FRAMES, CLASSES)",
        "(before + sum_pairwise(lane_others, FRAMES, CLASSES) + 1.0) - 1.0",
        "test_float64.py::test_a_confident_models_loss_and_gradient_keep_their_digits",
    ),
    "a block with a larger score does not rescale what was before": (
        "ctc/frames.py",
        "lane_others = lane_others * power[:, None]",
        "lane_others = lane_others * 1.0",
        "test_float64.py::test_any_number_of_classes_in_the_blocks_of_a_gpu",
    ),
    "a segment walks back from its own beginning": (
        "ctc/posteriors.py",
        "far = checkpoints + ((row * 2 + 1) * segments + segment) * (2 * line)",
        "far = near",
        "test_float64.py::test_models_of_every_temper",
    ),
    "what a distance's rounding lacks is lost": (
        "ctc/frames.py",
        "exp_extended(distance, lacking, distance >= -MASKED)",
        "exp_extended(distance, 0.0, distance >= -MASKED)",
        "test_float64.py::test_models_of_every_temper",
    ),
    "shares have no common exponent": (
        "ctc/posteriors.py",
        "x_exponent + y_exponent - reference",
        "x_exponent + y_exponent",
        "test_float64.py::test_models_of_every_temper",
    ),
    "posteriors are not normalised": (
        "ctc/by_class.py",
        "total = tl.where(used, rest + most, 1.0)",
        "total = tl.where(used, 1.0, 1.0)",
        "test_float64.py::test_models_of_every_temper",
    ),
    "a best class of an earlier block is forgotten": (
        "ctc/frames.py",
        "(before + 1.0) * power",
        "before * power",
        "test_float64.py::test_any_number_of_classes_in_the_blocks_of_a_gpu",
    ),
    "scores that equal the best are forgotten": (
        "ctc/frames.py",
        "lane_others += tl.where(is_best, lane_equals - 1.0, lane_equals)",
        "lane_others += 0.0",
        "test_float64.py::test_any_number_of_classes_in_the_blocks_of_a_gpu",
    ),
    "of many classes the target's are taken for others": (
        "ctc/gradient.py",
        "units = tl.where(works, count + 1, 0)",
        "units = 0",
        "test_float64.py::test_any_number_of_classes",
    ),
    "posteriors near 1 cancel": (
        "ctc/gradient.py",
        "found = tl.where(best, beside - missing, probability - posterior)",
        "found = probability - posterior",
        "test_float64.py::test_a_confident_models_loss_and_gradient_keep_their_digits",
    ),
    "upstream is forgotten": (
        "ctc/gradient.py",
        "found * factor, 0.0)",
        "found, 0.0)",
        "../../torch/test_gpu.py::test_every_reduction_is_that_of_the_cpu_in_float64",
    ),
    "padding is multiplied by upstream": (
        "ctc/gradient.py",
        "found = tl.where(used & works, found * factor, 0.0)",
        "found = found * factor",
        "../../contract/test_values.py::test_padding_has_no_gradient_whatever_comes_from_upstream",
    ),
    "a power ends late": (
        "extended_exponent.py",
        "LOWEST = tl.constexpr(-87.3)",
        "LOWEST = tl.constexpr(-95.0)",
        "test_extended_exponent.py::test_powers_below_0_are_right_and_0_where_they_would_be_no_normal_number",
    ),
    "bfloat16 is cut": (
        "ctc/gradient.py",
        "bits = (bits + 0x7FFF + ((bits >> 16) & 1)) & -0x10000",
        "bits = bits & -0x10000",
        "../../torch/test_gpu.py::test_a_half_type_s_gradient_is_rounded_once_reduction_and_upstream_included",
    ),
    "frames past a row's length have a gradient": (
        "ctc/gradient.py",
        "own_used = own_t < length",
        "own_used = own_t < time",
        "../../contract/test_poison.py::test_scores_past_a_length_are_never_read_and_have_no_gradient",
    ),
    "frames past a row's length have a gradient of many classes": (
        "ctc/gradient.py",
        "        used = t < length",
        "        used = t < time",
        "test_float64.py::test_any_number_of_classes",
    ),
    "NaN is laundered": (
        "ctc/frames.py",
        "tl.max(tl.where(lane_top != lane_top, INF, lane_top), 1)",
        "tl.max(lane_top, 1)",
        "../../contract/test_poison.py::test_one_nan_among_many_classes_is_found",
    ),
    "NaN is laundered without the softmax": (
        "ctc/frames.py",
        "bad = bad | (tl.max(wrong.to(tl.int32), 1) > 0)",
        "bad = bad | (tl.max(wrong.to(tl.int32), 1) > 1)",
        "../../contract/test_poison.py::test_nan_or_inf_for_blank_or_a_label_poisons_its_row_alone_without_the_softmax",
    ),
    "the blank is a label like any other": (
        "ctc/prepared_targets.py",
        "(label >= classes) | (label == blank))",
        "(label >= classes))",
        "../../torch/test_gpu.py::test_a_bad_label_or_length_on_the_device_is_nan_for_its_row",
    ),
    "labels are narrowed before they are looked at": (
        "ctc/prepared_targets.py",
        "label = tl.load(at, mask=inside, other=0).to(tl.int64)",
        "label = tl.load(at, mask=inside, other=0).to(tl.int32).to(tl.int64)",
        "../../contract/test_poison.py::test_without_validate_a_bad_label_gives_nan_for_its_row_alone",
    ),
    "blanks are added up as they come": (
        "pairs.py",
        "x = tl.sum(tl.reshape(x, [ROWS, COLUMNS >> (level + 1), 2]), 2)",
        "x = tl.sum(tl.reshape(x, [ROWS, 2, COLUMNS >> (level + 1)]), 1)",
        "test_layouts.py::test_a_target_laid_out_or_swept_otherwise_has_the_same_bits",
    ),
    "a shift ends too early": (
        "extended_exponent.py",
        "tl.maximum(exponent - top, -3) << 28",
        "tl.maximum(exponent - top, -1) << 28",
        "test_extended_exponent.py::test_sums_are_right_to_two_roundings",
    ),
    "a product keeps the exponent that it had": (
        "extended_exponent.py",
        "exponent = x_exponent + y_exponent + steps",
        "exponent = x_exponent + y_exponent",
        "test_extended_exponent.py::test_products_are_right_to_a_rounding",
    ),
    "zero keeps an exponent": (
        "extended_exponent.py",
        "tl.where(some, bits.to(tl.float32, bitcast=True), 0.0), tl.where(some, exponent, ZERO_EXPONENT)",
        "tl.where(some, bits.to(tl.float32, bitcast=True), 0.0), exponent",
        "test_extended_exponent.py::test_zero_and_zero_and_zero_times_anything_are_zero_however_often",
    ),
    "ties end late": (
        "ctc/maxima.py",
        "leaves = b[i + 1] >= e[i]",
        "leaves = b[i + 1] > e[i]",
        "test_align.py::test_every_decision_among_ties_is_that_of_the_cpu",
    ),
    "the gradient waits for the losses": (
        "ctc/pipeline.py",
        "        if not gradient:\n            return losses, None\n",
        "        if not gradient or losses.losses.isnan().all().item():\n            return losses, None\n",
        "test_no_wait.py::test_no_number_is_asked_for",
    ),
    "a block waits for the frames of one round less": (
        "ctc/sums.py",
        "tl.minimum(until + TOGETHER, most_frames)",
        "tl.minimum(until, most_frames)",
        "test_layouts.py::test_a_block_waits_for_every_frame_that_it_takes_over",
    ),
    "a block does not wait for its first frames": (
        "ctc/sums.py",
        "wait_for_frames(done - of_block, tl.minimum(TOGETHER, most_frames))",
        "wait_for_frames(done - of_block, 0)",
        "test_layouts.py::test_a_block_waits_for_every_frame_that_it_takes_over",
    ),
    "a block takes nothing over from the one before": (
        "ctc/sums.py",
        "(place == start) & (block > 0)",
        "(place == start) & (block > 9)",
        "test_layouts.py::test_a_target_laid_out_or_swept_otherwise_has_the_same_bits",
    ),
    "the rows of another block's program are taken over from": (
        "ctc/sums.py",
        "((block.to(tl.int64) - 1) * walks + walk) * time",
        "((block.to(tl.int64) - 1) * walks + 0 * walk) * time",
        "test_layouts.py::test_a_target_laid_out_or_swept_otherwise_has_the_same_bits",
    ),
    "all states are kept": (
        "ctc/sums.py",
        "return max(1, math.isqrt(max(0, time - 1)) + 1)",
        "return 1",
        "test_memory.py",
    ),
}


@pytest.mark.long
@pytest.mark.parametrize("name", MUTANTS)
def test_without_a_safeguard_its_test_fails(name: str, tmp_path: Path) -> None:
    file, text, mutation, test = MUTANTS[name]
    shutil.copytree(Path(seqloss.__file__).parent, tmp_path / "seqloss")
    source = tmp_path / "seqloss" / "kernels" / "triton" / file
    assert source.read_text().count(text) >= 1, "the safeguard has moved: mend this table"
    source.write_text(source.read_text().replace(text, mutation))
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-m", "not long", "-p", "no:cacheprovider", str(HERE / test)]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "TRITON_INTERPRET": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1, f"{test} passes without its safeguard:\n{done.stdout[-2000:]}"
