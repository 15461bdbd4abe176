"""An encoder like BERT: which of eight modules a passage of 24 words is from.

python -m examples.recipes.transformer_classifier --tune --optimizer adam
"""

import re

import keras
import numpy as np
from keras import layers, ops

from examples.harness import text
from examples.recipes import recipe

WORDS, CONTEXT, CLASSES, PASSAGES = 2000, 24, 8, 300
WIDTH, BLOCKS, HEADS = 32, 2, 4


def data():
    """The first passages of the largest modules, and the numbers of these."""
    files = [f for f in text.files() if f.suffix == ".py" and f.name != "topics.py"]
    files = sorted(files, key=lambda f: (f.stat().st_size, f.name))[-CLASSES:]
    modules = [re.findall(text.WORD, f.read_text("utf-8", "ignore")) for f in files]
    words = [word for m in modules for word in m[: CONTEXT * PASSAGES]]
    x = text.number({"train": words}, WORDS)["train"].reshape(-1, CONTEXT)
    return x, np.repeat(np.arange(CLASSES), PASSAGES)


def block(x):
    """Normalised after each sum, as BERT is."""
    y = layers.MultiHeadAttention(HEADS, WIDTH // HEADS)(x, x)
    x = layers.LayerNormalization()(x + y)
    y = layers.Dense(WIDTH)(layers.Dense(4 * WIDTH, activation="gelu")(x))
    return layers.LayerNormalization()(x + y)


def make_model():
    words = keras.Input((CONTEXT,), dtype="int32")
    places = ops.zeros_like(words) + ops.arange(CONTEXT, dtype=words.dtype)
    x = layers.Embedding(WORDS, WIDTH)(words) + layers.Embedding(CONTEXT, WIDTH)(places)
    x = layers.LayerNormalization()(x)
    for _ in range(BLOCKS):
        x = block(x)
    pooled = layers.Dense(WIDTH, activation="tanh")(x[:, 0])
    return keras.Model(words, layers.Dense(CLASSES)(pooled))


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
    recipe.main("transformer_classifier", train, __doc__, argv, epochs=8, batch_size=32)


if __name__ == "__main__":
    main()
