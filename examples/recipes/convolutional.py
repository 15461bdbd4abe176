"""Convolutions: handwritten digits of 8 × 8 pixels.

python -m examples.recipes.convolutional --tune --optimizer adam plastic-adam
"""

import keras
from keras import layers
from sklearn.datasets import load_digits

from examples.recipes import recipe


def data():
    images = load_digits()
    return images.images[..., None].astype("float32") / 8 - 1, images.target


def make_model():
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(16, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(10),
        ]
    )


def train(run):
    (x, y), held_out = recipe.split(run, *data())
    batches = run.batches(x, y)
    model = make_model()
    model.compile(
        optimizer=run.optimizer(batches),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(
        batches,
        epochs=run.epochs,
        initial_epoch=run.epochs_done,
        validation_data=held_out,
        validation_batch_size=len(held_out[0]),
        callbacks=recipe.callbacks(run, batches),
        verbose=0,
    )


def main(argv=None):
    recipe.main("convolutional", train, __doc__, argv, epochs=12, batch_size=32)


if __name__ == "__main__":
    main()
