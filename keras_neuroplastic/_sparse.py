"""Sparse gradients, which the rules cannot read."""

import keras


def densify(gradient, variable):
    """The dense form of a gradient of `variable`, repeated rows summed.

    An embedding hands out one row per lookup, and |g| and g² of unsummed rows are
    not those of their sum. A dense gradient is returned as it is.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        if isinstance(gradient, tf.IndexedSlices):
            # Keeps the static shape, which tf.convert_to_tensor loses inside tf.cond.
            return tf.math.unsorted_segment_sum(
                gradient.values, gradient.indices, variable.shape[0]
            )
    elif hasattr(gradient, "todense"):  # jax.experimental.sparse
        return gradient.todense()
    elif getattr(gradient, "is_sparse", False):  # torch.sparse_coo_tensor
        return gradient.to_dense()
    return gradient
