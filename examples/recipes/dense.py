"""Dense layers: handwritten digits of 8 × 8 pixels.

python -m examples.recipes.dense --tune --optimizer adam plastic-adam
"""

import keras
from keras import layers
from sklearn.datasets import load_digits

from examples.recipes import recipe


def data():
    pixels, y = load_digits(return_X_y=True)
    return pixels.astype("float32") / 8 - 1, y


def make_model():
    return keras.Sequential(
        [
            keras.Input((64,)),
            layers.Dense(128, activation="relu"),
            layers.Dense(64, activation="relu"),
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
    recipe.main("dense", train, __doc__, argv, epochs=15, batch_size=32)


if __name__ == "__main__":
    main()
