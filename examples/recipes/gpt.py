"""A causal transformer: the next word at each of 24 places.

python -m examples.recipes.gpt --tune --optimizer adam plastic-adam
"""

import keras
from keras import layers, ops

from examples.harness import text
from examples.recipes import recipe

WORDS, CONTEXT, COUNT = 300, 24, 2400
WIDTH, BLOCKS, HEADS = 32, 2, 4


def data():
    """Passages one after the other, and the same one word on."""
    parts, _ = text.load(WORDS)
    words = parts["train"][: COUNT * CONTEXT + 1]
    return words[:-1].reshape(COUNT, CONTEXT), words[1:].reshape(COUNT, CONTEXT)


def block(x):
    y = layers.LayerNormalization()(x)
    x += layers.MultiHeadAttention(HEADS, WIDTH // HEADS)(y, y, use_causal_mask=True)
    y = layers.LayerNormalization()(x)
    return x + layers.Dense(WIDTH)(layers.Dense(4 * WIDTH, activation="gelu")(y))


def make_model():
    words = keras.Input((CONTEXT,), dtype="int32")
    places = ops.zeros_like(words) + ops.arange(CONTEXT, dtype=words.dtype)
    x = layers.Embedding(WORDS, WIDTH)(words) + layers.Embedding(CONTEXT, WIDTH)(places)
    for _ in range(BLOCKS):
        x = block(x)
    return keras.Model(words, layers.Dense(WORDS)(layers.LayerNormalization()(x)))


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
    recipe.main("gpt", train, __doc__, argv, epochs=6, batch_size=32, metric="val_loss")


if __name__ == "__main__":
    main()
