"""Compile what a call would launch on a GPU that is not there: python compiled_launches.py CAPABILITY CALL [FOLDER]

Tensors stay on the CPU, kernels get the sizes that a GPU would get, and Triton compiles each as it would before a
launch, for a device that is pretended. Printed is, as JSON, what `Launch` holds of each; with a folder, the machine
code of each is written there. To be run without TRITON_INTERPRET.
"""

import json
import re
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import triton
from triton.backends.compiler import GPUTarget
from triton.runtime import driver
from triton.runtime.jit import JITFunction

CUOBJDUMP = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
INSTRUCTION = re.compile(r"^\s+/\*([0-9a-f]{4,})\*/\s+((?:@!?U?P\w+ )?[A-Z][^;]*);", re.MULTILINE)


@dataclass
class Launch:
    """What was compiled.

    Attributes:
        registers: of a thread; stack: bytes that did not fit into them; spills: how often an innermost loop fetches or
            leaves such bytes; shared: bytes of shared memory.
        whole: how many shuffles, barriers, instructions and accesses to spilled bytes there are in all of it; loop: in
            its longest loop of those that have none within them.
        orders: words by which its accesses to memory are ordered for other programs.
        ahead: how many instructions that loop has at the least between a load and the first one that needs it; None
            without loads.
        laid_out: whether its code declares the parameters that `launch_list.py` lays out for it.
    """

    name: str
    warps: int
    registers: int
    stack: int
    spills: int
    shared: int
    whole: dict[str, int]
    loop: dict[str, int]
    orders: list[str]
    ahead: int | None
    laid_out: bool


class FakeDriver:
    """A driver for a device that is not there."""

    def __init__(self, capability: int) -> None:
        self.target = GPUTarget("cuda", capability, 32)

    def get_current_target(self) -> GPUTarget:
        return self.target

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, device: int) -> int:
        return 0


def cuobjdump(option: str, cubin: bytes) -> str:
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        done = subprocess.run([CUOBJDUMP, option, file.name], capture_output=True, text=True, check=True)
    return done.stdout + done.stderr


def counts(instructions: list[tuple[int, str]]) -> dict[str, int]:
    words = [text.split(" ", 1)[1] if text.startswith("@") else text for _, text in instructions]
    return {
        "shuffles": sum(word.startswith("SHFL") for word in words),
        "barriers": sum(word.startswith("BAR.SYNC") for word in words),
        "instructions": len(words),
        "spills": sum(word.startswith(("STL", "LDL")) for word in words),
    }


def innermost_loops(instructions: list[tuple[int, str]]) -> list[list[tuple[int, str]]]:
    """The loops that have none within them, the longest first."""
    spans = []
    for place, text in instructions:
        target = re.search(r"\bBRA\b.*?(0x[0-9a-f]+)", text)
        if target and int(target[1], 16) < place:
            spans.append((int(target[1], 16), place))
    inner = [
        (begin, end)
        for begin, end in spans
        if not any(begin <= b and e <= end and (b, e) != (begin, end) for b, e in spans)
    ]
    loops = [[(place, text) for place, text in instructions if begin <= place <= end] for begin, end in inner]
    return sorted(loops, key=len, reverse=True)


def ahead(loop: list[tuple[int, str]]) -> int | None:
    """How far the first use of what a load brings is behind it, at the least; a loop goes on at its beginning."""
    words = [text.split(" ", 1)[1] if text.startswith("@") else text for _, text in loop]
    found = []
    for place, word in enumerate(words):
        load = re.match(r"LDG(\S*) R(\d+),", word)
        if load:
            registers = next((bits // 32 for bits in (64, 128) if f".{bits}" in load[1]), 1)
            loaded = {f"R{int(load[2]) + i}" for i in range(registers)}
            later = words[place + 1 :] + words[:place]
            found += [next((i for i, other in enumerate(later, 1) if loaded & needed(other)), len(words))]
    return min(found, default=None)


def needed(word: str) -> set[str]:
    """The registers that an instruction reads."""
    name, _, operands = word.partition(" ")
    parts = operands.split(",")
    results = 0 if name.startswith(("ST", "BAR", "BRA")) else 2 if name.startswith("SHFL") else 1
    return set(re.findall(r"\bR\d+", ",".join(parts[results:])))


def compile_for(capability: int, call: str, folder: Path | None = None) -> list[Launch]:
    """What a line of Python would launch."""
    launches: dict[str, Launch] = {}
    run = JITFunction.run

    def compile_instead(self: Any, *args: Any, grid: Any, warmup: bool, **options: Any) -> None:
        kernel = run(self, *args, grid=grid, warmup=True, **options)
        if kernel.hash in launches:
            return
        cubin = kernel.asm["cubin"]
        usage, code = cuobjdump("-res-usage", cubin), cuobjdump("-sass", cubin)
        registers, stack = (int(usage.split(word)[1].split()[0]) for word in ("REG:", "STACK:"))
        instructions = [(int(place, 16), text) for place, text in INSTRUCTION.findall(code)]
        loops = innermost_loops(instructions)
        launches[kernel.hash] = Launch(
            self.__name__, kernel.metadata.num_warps, registers, stack, sum(counts(loop)["spills"] for loop in loops),
            kernel.metadata.shared, counts(instructions), counts(loops[0] if loops else []),
            sorted(set(re.findall(r"\.global\.gpu\.(\w+)", kernel.asm["ptx"]))), ahead(loops[0]) if loops else None,
            launch_list.declares_parameters(kernel, [n for n in launch_list.parameter_sizes(kernel) or () if n]),
        )  # fmt: skip
        if folder is not None:
            (folder / f"{len(launches):02}-{self.__name__}.sass").write_text(code)
            (folder / f"{len(launches):02}-{self.__name__}.cubin").write_bytes(cubin)

    driver.set_active(FakeDriver(capability))
    JITFunction.run = compile_instead
    from seqloss.kernels.triton import launch_list, tiles

    tiles.is_interpreted = lambda device: False
    exec(call, {})
    return list(launches.values())


if __name__ == "__main__":
    found = compile_for(int(sys.argv[1]), sys.argv[2], Path(sys.argv[3]) if len(sys.argv) > 3 else None)
    print(json.dumps([asdict(launch) for launch in found]))
