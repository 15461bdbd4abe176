"""Kernels, and the bytes that they move, in a program that XLA has optimised for a GPU.

A kernel is an instruction that is launched; it reads each operand once and writes its
result once.
"""

import math
import re
from collections import namedtuple

BYTES = {"pred": 1, "bf16": 2} | {
    f"{kind}{8 * size}": size for kind in "suf" for size in (1, 2, 4, 8)
}
# What names memory, or the parts of a tuple, and moves none.
FREE = {"parameter", "constant", "get-tuple-element", "tuple", "bitcast"}
# What is launched, by the names that XLA gives on a GPU.
LAUNCHED = {"fusion", "copy", "reduce", "custom-call"}

COMPUTATION = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.*\) -> .* \{$")
INSTRUCTION = re.compile(r"^\s*(?:ROOT )?%?([\w.\-]+) = (\(.*?\)|\S+) ([\w\-]+)\((.*)$")

Counted = namedtuple("Counted", "kernels copies moved")


def size(shape):
    """The bytes of an array, or of all in a tuple, from a shape in HLO's words."""
    arrays = re.findall(rf"\b({'|'.join(BYTES)})\[([\d,]*)\]", shape)
    return sum(
        BYTES[dtype] * math.prod(int(n) for n in dims.split(",") if n)
        for dtype, dims in arrays
    )


def computations(text):
    """The instructions of each computation by its name, and the name of the first."""
    found, entry, current = {}, None, []
    for line in text.splitlines():
        if start := COMPUTATION.match(line):
            current = found[start[2]] = []
            entry = start[2] if start[1] else entry
        elif instruction := INSTRUCTION.match(line):
            current.append(instruction.groups())
    return found, entry


def count(text):
    """Kernels, those of them that are copies, and the bytes that all move."""
    found, entry = computations(text)

    def visit(name):
        kernels = copies = moved = 0
        sizes = {}
        for result, shape, kind, rest in found[name]:
            sizes[result] = size(shape)
            if kind == "call":  # of what is launched together, as a CUDA graph
                called = re.search(r"to_apply=%?([\w.\-]+)", rest)[1]
                more = visit(called)
                kernels += more.kernels
                copies += more.copies
                moved += more.moved
            elif kind in LAUNCHED:
                operands = set(re.findall(r"%([\w.\-]+)", rest.split("), ")[0]))
                kernels += 1
                copies += kind == "copy"
                moved += sizes[result] + sum(sizes[operand] for operand in operands)
            elif kind not in FREE:
                raise ValueError(f"What does {kind!r} launch? Say so in LAUNCHED.")
        return Counted(kernels, copies, moved)

    return visit(entry)
