"""Sparse gradients, which the rules cannot read."""

import keras


def densify(gradient):
    """The dense tensor of a sparse gradient, repeated rows summed.

    An embedding hands out one row per lookup, and |g| and g² of unsummed rows are
    not those of their sum. A dense gradient, or None, is returned as it is.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        # keras.ops.convert_to_tensor would leave the slices as they are.
        if isinstance(gradient, tf.IndexedSlices):
            return tf.convert_to_tensor(gradient)
    elif hasattr(gradient, "todense"):  # jax.experimental.sparse
        return gradient.todense()
    elif getattr(gradient, "is_sparse", False):  # torch.sparse_coo_tensor
        return gradient.to_dense()
    return gradient
