"""Sparse gradients, which the rules cannot read."""

from keras.backend import backend


def is_sparse(gradient):
    """Whether it holds some rows of an array, or some elements."""
    if backend() == "tensorflow":
        import tensorflow as tf

        return isinstance(gradient, tf.IndexedSlices)
    if backend() == "torch":
        return getattr(gradient, "is_sparse", False)  # torch.sparse_coo_tensor
    return hasattr(gradient, "todense")  # jax.experimental.sparse


def densify(gradient, variable):
    """The dense form of a gradient of `variable`, repeated rows summed.

    An embedding hands out one row per lookup, and |g| and g² of unsummed rows are
    not those of their sum. A dense gradient is returned as it is.
    """
    if not is_sparse(gradient):
        return gradient
    if backend() == "tensorflow":
        import tensorflow as tf

        # Keeps the static shape, which tf.convert_to_tensor loses inside tf.cond.
        return tf.math.unsorted_segment_sum(
            gradient.values, gradient.indices, variable.shape[0]
        )
    return gradient.todense() if backend() == "jax" else gradient.to_dense()
