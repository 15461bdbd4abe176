"""The module with the faster steps of this backend, or None.

Imported here and not in a step, where `torch.compile` could not follow.
"""

import keras

match keras.backend.backend():
    case "jax":
        from keras_neuroplastic import _jax as fast
    case "torch":
        from keras_neuroplastic import _torch as fast
    case "tensorflow":
        from keras_neuroplastic import _tensorflow as fast
    case _:
        fast = None
