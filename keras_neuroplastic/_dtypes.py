"""The dtype of a step, and the largest numbers in it."""

from keras import ops
from keras.backend import standardize_dtype

from keras_neuroplastic._sums import clip

# Sums are held below this: the largest power of two whose reciprocal is a normal
# number, for XLA divides by multiplying with the reciprocal and flushes subnormals.
LARGEST = {"float32": 2.0**126, "float64": 2.0**1022}


def step_dtype(dtype):
    """The dtype in which a variable of `dtype` is stepped and traced.

    A moving average stalls in 16 bits, where adding 1 % of a value is rounded
    away; hence float32 for float16 and bfloat16.
    """
    return "float64" if standardize_dtype(dtype) == "float64" else "float32"


def in_step_dtype(dtype, *values):
    """Tensors in the dtype of the step of a variable; floats and None as they are."""
    dtype = step_dtype(dtype)
    plain = float, type(None)
    return [x if isinstance(x, plain) else ops.cast(x, dtype) for x in values]


def saturate(x):
    """x >= 0, with infinity and what is close to it brought down to `LARGEST`."""
    # Not ops.minimum, which rounds float64 to float32 on PyTorch.
    return clip(x, 0.0, LARGEST[standardize_dtype(x.dtype)])
