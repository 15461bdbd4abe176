"""MNIST in the setting of the paper: an MLP, ten epochs, seeds 41, 42 and 43.

python -m examples.mnist --optimizer neuroplastic gradient-only adam
"""

import keras
from keras import layers

from examples import harness


def mlp():
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Rescaling(1 / 127.5, offset=-1),  # (x / 255 - 0.5) / 0.5
            layers.Flatten(),
            layers.Dense(256, activation="relu"),
            layers.Dropout(0.1),
            layers.Dense(256, activation="relu"),
            layers.Dropout(0.1),
            layers.Dense(10),
        ]
    )


def convnet():
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Rescaling(1 / 127.5, offset=-1),
            layers.Conv2D(16, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(10),
        ]
    )


MODELS = {"mlp": mlp, "convnet": convnet}


def train(run):
    (x, y), test = run.load("mnist")
    batches = run.batches(x, y)
    model = MODELS[run.model]()
    model.compile(
        optimizer=run.optimizer(batches),  # NeuroPlastic.paper(len(batches)), or other
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(
        batches,
        epochs=run.epochs,
        initial_epoch=run.epochs_done,
        validation_data=test,
        validation_batch_size=1000,
        callbacks=run.callbacks(batches),
        verbose=0,
    )


def main(argv=None):
    harness.main(
        "mnist",
        train,
        __doc__,
        epochs=10,
        batch_size=64,
        seconds_per_epoch=7,
        argv=argv,
        model={"choices": MODELS, "default": ["mlp"], "help": "the network"},
    )


if __name__ == "__main__":
    main()
