"""A recurrent network: the next word of Python's library after twelve.

python -m examples.recipes.lstm --tune --optimizer adam plastic-adam
"""

import keras
from keras import layers

from examples.harness import text
from examples.recipes import recipe

WORDS, CONTEXT, COUNT = 300, 12, 6000


def data():
    """Passages one after the other, each but its last word, and that."""
    parts, _ = text.load(WORDS)
    passages = parts["train"][: COUNT * (CONTEXT + 1)].reshape(COUNT, CONTEXT + 1)
    return passages[:, :-1], passages[:, -1]


def make_model():
    return keras.Sequential(
        [
            keras.Input((CONTEXT,), dtype="int32"),
            layers.Embedding(WORDS, 32),
            layers.LSTM(48),
            layers.Dense(WORDS),
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
    recipe.main(
        "lstm", train, __doc__, argv, epochs=8, batch_size=64, metric="val_loss"
    )


if __name__ == "__main__":
    main()
