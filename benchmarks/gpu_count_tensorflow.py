"""What one step on TensorFlow launches and moves on an H100, counted without one.

    python -m benchmarks.gpu_count_tensorflow --sets resnet18 transformer

As `gpu_count_jax.py`, of the program that TensorFlow hands to XLA where the model is
compiled, as it is by default on a GPU. JAX has the door to compile it without one.
"""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"

from benchmarks import gpu_target  # before JAX, for which it sets the flags

# isort: split
import keras
import tensorflow as tf
from jax._src.compiler import get_compile_options
from jax._src.interpreters.mlir import make_ir_context
from jax._src.lib import _jax
from jax._src.lib.mlir import ir

from keras_neuroplastic._steps import tensorflow as steps

# The variables are on a CPU, and are to be taken for those of a GPU.
compiled_for = steps.compiled_for
steps.compiled_for = lambda device: compiled_for("/device:GPU:0")


def compiled(optimizer, shapes):
    variables = [keras.Variable(tf.zeros(shape), dtype="float32") for shape in shapes]
    optimizer.build(variables)
    step = tf.function(lambda *g: optimizer.apply(g, variables), jit_compile=True)
    gradients = [tf.zeros(shape) for shape in shapes]
    program = step.experimental_get_compiler_ir(*gradients)("hlo_serialized")
    device = gpu_target.device()
    with make_ir_context(), ir.Location.unknown():
        module = ir.Module.parse(_jax.mlir.hlo_to_stablehlo(program))
        drop_copies(module)
        executable = device.client.compile(
            module,
            executable_devices=_jax.DeviceList((device,)),
            compile_options=get_compile_options(1, 1),
        )
    [text] = [module.to_string() for module in executable.hlo_modules()]
    return text, executable.get_compiled_memory_stats().temp_size_in_bytes


def drop_copies(module):
    """Of results, which JAX's door does not know and XLA would remove first of all."""
    copies = []

    def find(operation):
        if operation.name == "mhlo.copy":
            copies.append(operation)
        return ir.WalkResult.ADVANCE

    module.operation.walk(find)
    for copy in copies:
        copy.results[0].replace_all_uses_with(copy.operands[0])
        copy.operation.erase()


if __name__ == "__main__":
    gpu_target.main(__doc__, compiled)
