"""NeuroPlastic in a training loop of one's own, on TensorFlow: scikit-learn's digits.

python -m examples.custom_loop_tensorflow
"""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"  # before the import of keras

import keras
import numpy as np
import tensorflow as tf

from examples.custom_loop import BATCH_SIZE, load_data, make_model, run
from keras_neuroplastic import NeuroPlastic


def train(epochs):
    """Trains and prints; returns the last test accuracy."""
    x, x_test, y, y_test = load_data()
    model = make_model()
    optimizer = NeuroPlastic()
    optimizer.build(model.trainable_variables)  # no variable is made while tracing
    loss_function = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    @tf.function(jit_compile=True)
    def step(x, y):
        with tf.GradientTape() as tape:
            loss = loss_function(y, model(x, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        return loss

    batches = tf.data.Dataset.from_tensor_slices((x, y))
    batches = batches.shuffle(len(x)).batch(BATCH_SIZE)
    for epoch in range(1, epochs + 1):
        for images, labels in batches:
            loss = step(images, labels)
        logits = model(x_test, training=False)
        accuracy = float(np.mean(np.argmax(logits, -1) == y_test))
        print(f"epoch {epoch}: loss {loss:.4f}, test accuracy {accuracy:.4f}")
    return accuracy


def main(argv=None):
    return run(train, __doc__, argv)


if __name__ == "__main__":
    main()
