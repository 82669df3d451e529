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
        "vectors.py",
        "builder.select(nothing, _constant(integers, 0), whole)",
        "whole",
        "test_ctc.py::test_scores_of_minus_infinity_stay_nothing_through_every_sum",
    ),
    "zero keeps an exponent": (
        "vectors.py",
        "builder.select(empty, args[2], builder.add(own, args[1]))",
        "builder.add(own, args[1])",
        "test_wide.py::test_nothing_plus_nothing_and_nothing_times_anything_is_nothing",
    ),
    "exponents wrap": (
        "wide.py",
        "return depth + 2.0 * frames + 256.0 < NARROW_LIMIT",
        "return depth > -1.0",
        "test_ctc.py::test_masks_whose_exponents_would_wrap_32_bits_take_the_wide_path",
    ),
    "a shifted-out power is garbage": (
        "vectors.py",
        "builder.select(tiny, _constant(integers, 0), bits)",
        "bits",
        "test_wide.py::test_a_power_under_the_smallest_normal_number_is_exactly_zero",
    ),
    "NaN is laundered": (
        "softmax.py",
        "if any_lane(wrong):",
        "if classes < 0:",
        "test_ctc.py::test_a_poisonous_score_anywhere_in_a_frame_poisons_its_row_alone",
    ),
    "the others meet the 1": (
        "softmax.py",
        "return total + (equals - 1.0)",
        "return np.float64(np.float32(total + equals)) - 1.0",
        "test_softmax.py::test_others_of_a_ten_millionth_keep_their_digits",
    ),
    "one float32 sum over all classes": (
        "softmax.py",
        "BLOCK = 32",
        "BLOCK = 10**9",
        "test_softmax.py::test_the_sum_of_the_others_is_right_to_two_roundings",
    ),
    "small losses in float32": (
        "ctc.py",
        "SMALL_LOSS = 2.0**-6",
        "SMALL_LOSS = -1.0",
        "test_ctc.py::test_a_small_loss_is_summed_in_float64",
    ),
    "posteriors drift": (
        "recursion.py",
        "    total = rest + posterior[best]\n",
        "    if not (posterior[count] > 0.0):\n        posterior[count] = rest + posterior[best]\n"
        "    total = posterior[count]\n",
        "test_ctc.py::test_rows_of_the_gradient_add_up_to_nothing_after_20000_frames",
    ),
    "posteriors near 1 cancel": (
        "recursion.py",
        "if softmax and u == best and rest < posterior[best]:",
        "if count < 0:",
        "test_ctc.py::test_a_sure_and_right_models_loss_and_gradient_keep_their_digits",
    ),
    "emissions in float32": (
        "ctc.py",
        "d[u] = np.float64(scores[origin + t * classes + classes_used[u]]) - tops[2 * t]",
        "d[u] = np.float64(np.float32(scores[origin + t * classes + classes_used[u]]) - np.float32(tops[2 * t]))",
        "test_ctc.py::test_emissions_far_under_the_frames_largest_keep_their_ratios",
    ),
    "denormals stay": (
        "recursion.py",
        "result[at] = g if abs(g) >= SMALLEST else 0.0",
        "result[at] = g",
        "test_ctc.py::test_entries_under_the_smallest_normal_number_are_exactly_zero",
    ),
    "float64 with float32's series": (
        "exponential.py",
        "return _series13(r)",
        "return _series7(r)",
        "test_wide.py::test_exp_is_right_to_two_roundings_over_its_whole_range",
    ),
    "ln 2 in one piece": (
        "exponential.py",
        "- n * like(x, LOWER32)",
        "- n * like(x, 0.0)",
        "test_wide.py::test_exp_is_right_to_two_roundings_over_its_whole_range",
    ),
    "a frame of nothing but -inf passes": (
        "emissions.py",
        "if not (top > -np.inf):",
        "if np.isnan(top):",
        "../contract/test_poison.py",
    ),
    "a rounded loss below 0": (
        "ctc.py",
        "if normalize:\n        loss = loss if loss >= SMALLEST else 0.0",
        "if normalize:\n        loss = loss - 1e-16",
        "../contract/test_values.py",
    ),
    "no folder, no kernel": (
        "compiled.py",
        "except (OSError, RuntimeError):",
        "except ZeroDivisionError:",
        "test_compiled.py::test_without_a_folder_that_can_be_written_the_kernel_works_all_the_same",
    ),
    "a fork keeps the parent's pool": (
        "threads.py",
        "    os.register_at_fork(after_in_child=_forget_pool)",
        "    pass",
        "test_threads.py::test_a_forked_child_makes_a_pool_of_its_own",
    ),
    "the cache looks at one file": (
        "compiled.py",
        'for path in sorted(Path(__file__).parent.glob("*.py")):',
        'for path in [Path(__file__).parent / "ctc.py"]:',
        "test_compiled.py::test_an_edit_in_a_file_that_a_kernel_calls_is_seen",
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
