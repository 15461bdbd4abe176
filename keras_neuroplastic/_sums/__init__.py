"""Sums over a variable, as the compiler of each backend makes them in few passes.

`plain.py` says what each function is; the file of a backend replaces those that its
compiler has to be told of, and the limits and choices that take a number as it is. The
mathematics is none the wiser.
"""

from keras.backend import backend

from keras_neuroplastic._sums.plain import (
    after,
    clip,
    of_magnitudes,
    of_several,
    of_signals,
    root,
    size,
    stored,
    total,
    where,
)

match backend():
    case "jax":
        from keras_neuroplastic._sums.jax import (
            after,
            of_magnitudes,
            of_several,
            of_signals,
            root,
        )
    case "tensorflow":
        from keras_neuroplastic._sums.tensorflow import (
            of_magnitudes,
            of_several,
            of_signals,
        )
    case "torch":
        from keras_neuroplastic._sums.torch import clip, stored, where

__all__ = [
    "after",
    "clip",
    "of_magnitudes",
    "of_several",
    "of_signals",
    "root",
    "size",
    "stored",
    "total",
    "where",
]
