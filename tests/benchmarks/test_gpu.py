"""What `benchmarks/gpu.py` says can be trusted: of made-up figures, of tensors of the CPU, and without a device."""

from __future__ import annotations

import copy
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest
import torch
from rich.console import Console
from typer.testing import CliRunner

FOLDER = Path(__file__).parents[2] / "benchmarks"
NAMES = ("gpu", "gpu_contestants", "gpu_figures", "machine", "workloads")


@pytest.fixture(scope="module")
def gpu() -> Iterator[ModuleType]:
    """The program, which finds its neighbours as it does when it is run."""
    sys.path.insert(0, str(FOLDER))
    import gpu

    yield gpu
    sys.path.remove(str(FOLDER))
    for name in NAMES:
        del sys.modules[name]


@pytest.fixture
def figures() -> dict[str, Any]:
    """Two workloads: ours takes twice the floor and is five times as fast as torch; cuDNN takes part in one."""

    def row(median: float, **more: float) -> dict[str, float]:
        return {"low": 0.9 * median, "median": median, "high": 1.2 * median, **more}

    right = {"absolute": 3e-7, "relative": 2e-6}
    workload = {
        "shape": "64, 64, 96, 12",
        "dtype": "float32",
        "bytes": 2_000_000,
        "floor": 0.1,
        "milliseconds": {"seqloss.torch": row(0.2, peak=1e6, **right), "torch": row(1.0, peak=3e6, **right)},
        "kernels": {"_sums_kernel": 0.15, "_frames_kernel": 0.05},
        "serial": 1234.0,
    }
    other = copy.deepcopy(workload)
    other["milliseconds"]["cuDNN"] = row(0.5, **right)
    other["kernels"], other["serial"] = {}, None
    return {"machine": {"device": "Made Up 9000"}, "bandwidth": 3000.0, "workloads": {"ocr": workload, "phone": other}}


def text(table: Any) -> str:
    console = Console(width=200, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    console.print(table)
    return console.export_text()


def test_times_are_printed_beside_torch_and_the_floor(gpu: ModuleType, figures: dict[str, Any]) -> None:
    said = [line.split("│") for line in text(gpu.times(figures)).splitlines() if "0.200" in line or "0.500" in line]
    ours, _, theirs = [[cell.strip() for cell in line[2:-1]] for line in said]
    assert ours == ["seqloss.torch", "0.200 (0.180 to 0.240)", "5.0", "2.0", "3.0e-07", "2.0e-06"]
    assert theirs[:4] == ["cuDNN", "0.500 (0.450 to 0.600)", "2.0", "5.0"]


def test_kernels_are_shares_of_the_whole_and_none_where_the_profiler_saw_none(
    gpu: ModuleType, figures: dict[str, Any]
) -> None:
    figures["workloads"]["ocr"]["kernels"] |= {"void at::native::fill": 0.02, "void at::native::reduce": 0.03}
    lines = text(gpu.kernels(figures)).splitlines()
    ocr, phone = (
        [cell.strip() for cell in line.split("│")[1:-1]] for line in lines if "ocr" in line or "phone" in line
    )
    assert ocr == ["ocr", "1234", "20%", "60%", "20%"]  # torch's own together
    assert phone == ["phone", "-", "-", "-", "-"]


def test_memory_is_printed_for_each_implementation_that_reports_it(gpu: ModuleType, figures: dict[str, Any]) -> None:
    (line,) = (line for line in text(gpu.memory(figures)).splitlines() if "ocr" in line)
    assert [cell.strip() for cell in line.split("│")[1:-1]] == ["ocr", "2.0", "1.0", "", "3.0", "", "", ""]


@pytest.mark.parametrize(("name", "value"), [("absolute", 2e-5), ("relative", 2e-4), ("absolute", float("nan"))])
def test_a_gradient_that_errs_is_named(gpu: ModuleType, figures: dict[str, Any], name: str, value: float) -> None:
    assert gpu.wrong(figures) == []
    figures["workloads"]["phone"]["milliseconds"]["torch"][name] = value
    assert gpu.wrong(figures) == []
    figures["workloads"]["phone"]["milliseconds"]["seqloss.torch"][name] = value
    assert gpu.wrong(figures) == ["phone: seqloss.torch"]


def bar(drawing: ElementTree.ElementTree, name: str) -> float:
    """How high it is drawn."""
    (group,) = (node for node in drawing.iter() if node.get("id") == name)
    (path,) = (node for node in group.iter() if node.tag.endswith("path"))
    heights = [float(number) for number in re.findall(r"[ML] \S+ (\S+)", path.get("d", ""))]
    return max(heights) - min(heights)


def test_the_heights_of_the_bars_are_the_figures(gpu: ModuleType, figures: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "picture.svg"
    gpu.picture(figures, file)
    drawing = ElementTree.parse(file)
    one = bar(drawing, "phone: cuDNN") / 2.0  # it is twice as fast as torch
    assert bar(drawing, "phone: seqloss.torch") == pytest.approx(5.0 * one, rel=1e-3)
    assert bar(drawing, "ocr: seqloss.torch") == pytest.approx(5.0 * one, rel=1e-3)
    chain, passes = bar(drawing, "ocr: the serial chain"), bar(drawing, "ocr: passes over the logits")
    assert chain == pytest.approx(3.0 * passes, rel=1e-3)
    names = {node.get("id") for node in drawing.iter()}
    assert not names & {"ocr: cuDNN", "phone: the serial chain"}
    first = file.read_bytes()
    gpu.picture(figures, file)
    assert file.read_bytes() == first


def test_who_computes_another_gradient_has_no_bar(gpu: ModuleType, figures: dict[str, Any], tmp_path: Path) -> None:
    figures["workloads"]["phone"]["milliseconds"]["cuDNN"]["absolute"] = 1.8
    gpu.picture(figures, tmp_path / "picture.svg")
    names = {node.get("id") for node in ElementTree.parse(tmp_path / "picture.svg").iter()}
    assert "phone: cuDNN" not in names
    assert "phone: seqloss.torch" in names


def test_a_workload_of_which_nothing_but_ours_is_known_is_drawn_all_the_same(
    gpu: ModuleType, figures: dict[str, Any], tmp_path: Path
) -> None:
    del figures["workloads"]["ocr"]["milliseconds"]["torch"]
    gpu.picture(figures, tmp_path / "picture.svg")
    drawing = ElementTree.parse(tmp_path / "picture.svg")
    assert bar(drawing, "ocr: the serial chain") > 0


def test_kernels_are_grouped_by_what_they_wait_for(gpu: ModuleType) -> None:
    took = {"_sums_kernel": 2.0, "_frames_kernel": 1.0, "_gradient_kernel": 3.0, "_row_sums": 1.0, "fill": 1.0}
    found = sys.modules["gpu_figures"].parts(took)
    assert found == {"passes over the logits": 0.5, "the serial chain": 0.25, "posteriors": 0.0, "the rest": 0.25}


@pytest.mark.parametrize(
    ("name", "median", "said"),
    [
        ("torch", 0.9, "phone: seqloss.torch is 4.50 times as fast as torch, asked 5.0"),
        ("cuDNN", 0.1, "phone: seqloss.torch is 0.50 times as fast as cuDNN, asked 1.0"),
        ("optax (jit)", 0.3, "phone: seqloss.jax is 1.50 times as fast as optax (jit), asked 2.0"),
    ],
)
def test_a_speed_that_falls_short_is_named(
    gpu: ModuleType, figures: dict[str, Any], name: str, median: float, said: str
) -> None:
    figures["workloads"]["phone"]["milliseconds"]["seqloss.jax"] = {"median": 0.2}
    figures["workloads"]["phone"]["milliseconds"]["optax (jit)"] = {"median": 0.5}
    assert gpu.short(figures) == []
    figures["workloads"]["phone"]["milliseconds"][name]["median"] = median
    assert gpu.short(figures) == [said]


def test_only_a_large_floor_is_to_be_met(gpu: ModuleType, figures: dict[str, Any]) -> None:
    found = figures["workloads"]["ocr"]
    found["floor"] = 0.41
    found["milliseconds"]["torch"]["median"] = 10.0
    found["milliseconds"]["seqloss.torch"]["median"] = 0.61
    assert gpu.short(figures) == []
    found["milliseconds"]["seqloss.torch"]["median"] = 0.63
    assert gpu.short(figures) == ["ocr: seqloss.torch takes 1.54 times the floor, asked at most 1.5"]


def test_a_device_s_name_becomes_a_file_s(gpu: ModuleType) -> None:
    assert gpu.slug("NVIDIA H100 80GB HBM3") == "nvidia-h100-80gb-hbm3"


def test_the_workloads_are_the_six_and_five_large_ones(gpu: ModuleType) -> None:
    sizes = {w.name: (w.frames, w.batch, w.classes, w.labels) for w in gpu.EVERY}
    assert len(sizes) == 11
    assert sizes["text50k"] == (250, 64, 50000, 40)
    assert [w.name for w in gpu.EVERY if gpu.kind_of(w) == torch.bfloat16] == ["text50k"]


@pytest.fixture
def small(gpu: ModuleType) -> Any:
    return sys.modules["workloads"].Workload("small", 12, 3, 6, 4)


def on_the_cpu(workload: Any, sets: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    scores, targets = map(torch.from_numpy, workload.draw())
    return [((scores + n).requires_grad_(), targets) for n in range(sets)]


def test_all_that_run_here_give_the_same_gradient_and_its_error_is_seen(gpu: ModuleType, small: Any) -> None:
    given = on_the_cpu(small, 2)
    ours, theirs = (sys.modules["gpu_contestants"].CONTESTANTS[name](given) for name in ("seqloss.torch", "torch"))
    for _ in range(3):
        torch.testing.assert_close(ours(), theirs(), rtol=1e-4, atol=1e-6)
    absolute, relative = gpu.errors(ours(), given[0])
    assert (absolute < 1e-6, relative < 1e-5) == (True, True)
    spoilt = ours().clone()
    spoilt[1, 3, 2] += 0.01
    assert gpu.errors(spoilt, given[0])[0] == pytest.approx(0.01, rel=1e-3)


def test_a_workload_is_measured_from_end_to_end(gpu: ModuleType, small: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the host's clock, with what needs a device pretended."""
    contestants = {name: gpu.CONTESTANTS[name] for name in ("seqloss.torch", "torch")}
    pretended: dict[str, Callable[..., Any]] = {
        "inputs": on_the_cpu,
        "by_events": gpu.by_the_host,
        "peak": lambda call, logits: 7,
        "kernel_times": lambda call: {"_sums_kernel": 0.25, "x": 1.0},
        "jax_calls": lambda workload, given: iter(
            [("seqloss.jax", lambda: contestants["seqloss.torch"]([given])().numpy())]
        ),
    }
    for name, function in pretended.items():
        monkeypatch.setattr(gpu, name, function)
    monkeypatch.setattr(gpu, "CONTESTANTS", {**contestants, "cuDNN": lambda given: None})
    monkeypatch.setattr(gpu, "TOGETHER", 0.1)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda n: SimpleNamespace(L2_cache_size=1 << 20))
    found = gpu.measure(small, 3, 1000.0)
    assert set(found["milliseconds"]) == {"seqloss.torch", "torch", "seqloss.jax"}
    assert all(0 < row["low"] <= row["median"] <= row["high"] for row in found["milliseconds"].values())
    assert found["bytes"] == 3 * 12 * 6 * 4
    assert found["floor"] == pytest.approx(3 * found["bytes"] / 1e12 * 1e3)
    assert not found["kernels"]  # the profiler waits until all is timed
    gpu.profile(small, found)
    assert found["serial"] == pytest.approx(0.25e6 / 12)
    whole = {"machine": {"device": "pretended"}, "bandwidth": 1000.0, "workloads": {"small": found}}
    assert gpu.wrong(whole) == []
    assert all("small" in text(table(whole)) for table in (gpu.times, gpu.kernels, gpu.memory))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a device")
def test_without_a_device_it_fails_with_the_reason(gpu: ModuleType) -> None:
    import typer

    program = typer.Typer()
    program.command()(gpu.main)
    done = CliRunner().invoke(program, [])
    assert done.exit_code == 1
    assert done.output.startswith("No CUDA device:")
    assert done.output.count("\n") == 1
