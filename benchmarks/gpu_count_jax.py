"""What one step on JAX launches and moves on an H100, counted without one.

    python -m benchmarks.gpu_count_jax --sets resnet18 transformer

The step is compiled ahead of time, and the compiled program is counted: nothing runs,
and no time is known. A pass is as many bytes as the parameters have: Adam's step reads
g, m, v and θ and writes m, v and θ, which is 7. `gpu_target.py` says what it takes.
"""

import os

os.environ["KERAS_BACKEND"] = "jax"

from benchmarks import gpu_target  # before JAX, for which it sets the flags

# isort: split
import jax
import keras
from jax.sharding import SingleDeviceSharding


def compiled(optimizer, shapes):
    """One step as `fit` has it, its variables and slots donated."""
    sharding = SingleDeviceSharding(gpu_target.device())
    variables = [keras.Variable(jax.numpy.zeros(s), dtype="float32") for s in shapes]
    optimizer.build(variables)

    def step(trainable, slots, gradients):
        return optimizer.stateless_apply(slots, gradients, trainable)

    def arrays(variables):
        return [
            jax.ShapeDtypeStruct(v.shape, v.value.dtype, sharding=sharding)
            for v in variables
        ]

    trainable, slots = arrays(variables), arrays(optimizer.variables)
    traced = jax.jit(step, donate_argnums=(0, 1)).trace(trainable, slots, trainable)
    program = traced.lower(lowering_platforms=("cuda",)).compile()
    return program.as_text(), program.memory_analysis().temp_size_in_bytes


if __name__ == "__main__":
    gpu_target.main(__doc__, compiled)
