"""NeuroPlastic in a training loop of one's own, on TensorFlow: scikit-learn's digits.

python -m examples.custom_loop_tensorflow
"""

import argparse
import os

os.environ["KERAS_BACKEND"] = "tensorflow"  # before the import of keras

import keras
import numpy as np
import tensorflow as tf
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from keras_neuroplastic import NeuroPlastic

BATCH_SIZE = 64


def make_model():
    return keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Dense(128, activation="relu"),
            keras.layers.Dropout(0.1),
            keras.layers.Dense(10),
        ]
    )


def load_data():
    images, labels = load_digits(return_X_y=True)
    images = (images / 8 - 1).astype("float32")
    return train_test_split(images, labels, test_size=0.25, random_state=0)


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
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--epochs", type=int, default=20, help="default: 20")
    parser.add_argument("--seed", type=int, default=41, help="default: 41")
    parser.add_argument("--smoke", action="store_true", help="two epochs only")
    args = parser.parse_args(argv)
    keras.utils.set_random_seed(args.seed)
    return train(2 if args.smoke else args.epochs)


if __name__ == "__main__":
    main()
