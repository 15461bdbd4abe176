"""What the counting benchmarks take from the text of a compiled program."""

import pytest

from benchmarks.hlo_count import count

# XLA's words, shortened: a fusion, what is launched together with a copy, their result.
PROGRAM = """\
HloModule jit_step, is_scheduled=true

%fused (param_0: f32[8,4]) -> (f32[8,4], f32[]) {
  %param_0 = f32[8,4]{1,0} parameter(0)
  %abs = f32[8,4]{1,0} abs(%param_0)
  ROOT %tuple.1 = (f32[8,4]{1,0}, f32[]) tuple(%abs, %abs)
}

%command_buffer (p: f32[8,4], q: bf16[2]) -> bf16[2] {
  %p = f32[8,4]{1,0} parameter(0)
  %q = bf16[2]{0} parameter(1)
  %f = (f32[8,4]{1,0}, f32[]) fusion(%p, %p), kind=kInput, calls=%fused
  ROOT %copy.1 = bf16[2]{0} copy(%q), metadata={op_name="x(%p)"}
}

ENTRY %main (g: f32[8,4], h: bf16[2]) -> bf16[2] {
  %g = f32[8,4]{1,0} parameter(0)
  %h = bf16[2]{0} parameter(1)
  ROOT %call = bf16[2]{0} call(%g, %h), to_apply=%command_buffer
}
"""


def test_kernels_copies_and_bytes():
    """An operand is read once by a kernel, and within one nothing is counted."""
    fusion, copy = 128 + (128 + 4), 4 + 4
    assert count(PROGRAM) == (2, 1, fusion + copy)


def test_what_is_not_known_is_not_left_out():
    with pytest.raises(ValueError, match="all-reduce"):
        count(PROGRAM.replace(" copy(", " all-reduce("))
