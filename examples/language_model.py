"""The next word of Python's own library, from the eight words before it.

    python -m examples.language_model --model mlp --tune --optimizer adam plastic-adam

The text is every module at the top of the standard library, the help topics and the
licence: a million words and signs, the same for everyone whose Python has the same
version. Records hold a hash of it. One file of ten is for the test, another for --tune;
the commonest 3000 words of the others are the vocabulary.

An epoch is 38,400 random places in the text. What counts is the loss, in nats a word,
at 8192 places of the files held out.
"""

import keras
import numpy as np
from keras import layers, ops

from examples import harness
from examples.harness import text
from examples.harness.data import Batches

CONTEXT, WORDS, WIDTH = 8, 3000, 64
PLACES_AN_EPOCH, PLACES_HELD_OUT = 38_400, 8192


def mlp(words):
    x = layers.Flatten()(layers.Embedding(WORDS, WIDTH)(words))
    return layers.Dense(128, activation="relu")(x)


def lstm(words):
    return layers.LSTM(WIDTH)(layers.Embedding(WORDS, WIDTH)(words))


def transformer(words):
    """Two layers, normalised at their beginning; the last place predicts."""
    places = ops.zeros_like(words) + ops.arange(CONTEXT, dtype=words.dtype)
    x = layers.Embedding(WORDS, WIDTH)(words) + layers.Embedding(CONTEXT, WIDTH)(places)
    for _ in range(2):
        y = layers.LayerNormalization()(x)
        x += layers.MultiHeadAttention(4, WIDTH // 4)(y, y, use_causal_mask=True)
        y = layers.LayerNormalization()(x)
        x += layers.Dense(WIDTH)(layers.Dense(4 * WIDTH, activation="relu")(y))
    return layers.LayerNormalization()(x)[:, -1]


MODELS = {"mlp": mlp, "lstm": lstm, "transformer": transformer}


class ShortEpochs(Batches):
    """Each of so many places, others every time."""

    def __len__(self):
        return min(super().__len__(), PLACES_AN_EPOCH // self.batch_size)


def check(args):
    if args.batch_size > PLACES_AN_EPOCH:
        most = f"the {PLACES_AN_EPOCH} places of an epoch"
        return f"argument --batch-size: {args.batch_size} is more than {most}"
    return None


def train(run):
    parts, run.notes["text"] = text.load(WORDS)
    x, y = (a[: run.limit] for a in text.before_each(parts["train"], CONTEXT))
    x_eval, y_eval = text.before_each(parts[run.evaluate_on], CONTEXT)
    held_out = np.linspace(0, len(x_eval) - 1, run.limit or PLACES_HELD_OUT, dtype=int)
    batches = ShortEpochs(x, y, run.batch_size, run.seed)
    inputs = keras.Input((CONTEXT,), dtype="int32")
    model = keras.Model(inputs, layers.Dense(WORDS)(MODELS[run.model](inputs)))
    model.compile(
        optimizer=run.optimizer(batches),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(
        batches,
        epochs=run.epochs,
        initial_epoch=run.epochs_done,
        validation_data=(x_eval[held_out], y_eval[held_out]),
        validation_batch_size=1024,
        callbacks=run.callbacks(batches),
        verbose=0,
    )


def main(argv=None):
    harness.main(
        "language_model",
        train,
        __doc__,
        epochs=5,
        batch_size=128,
        seconds_per_epoch=4,
        check=check,
        argv=argv,
        metric="val_loss",
        model={"choices": MODELS, "default": ["mlp"], "help": "the network"},
    )


if __name__ == "__main__":
    main()
