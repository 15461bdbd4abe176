"""A table of 600 columns, 15 of which tell something, and few rows.

python -m examples.recipes.tabular --tune --optimizer adam plastic-adam
"""

import keras
from keras import layers
from sklearn.datasets import make_classification

from examples.recipes import recipe


def data():
    x, y = make_classification(
        n_samples=2000,
        n_features=600,
        n_informative=15,
        n_redundant=0,
        n_classes=3,
        class_sep=2,
        random_state=0,
    )
    return ((x - x.mean(axis=0)) / x.std(axis=0)).astype("float32"), y


def make_model():
    hidden = layers.Dense(64, activation="relu")
    return keras.Sequential([keras.Input((600,)), hidden, layers.Dense(3)])


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
    recipe.main("tabular", train, __doc__, argv, epochs=10, batch_size=32)


if __name__ == "__main__":
    main()
