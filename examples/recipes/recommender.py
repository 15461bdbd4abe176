"""Embeddings: ratings of films, most of them of the few popular ones.

The ratings are made up: a taste of each user, a kind of each film, and noise.

python -m examples.recipes.recommender --tune --optimizer adam plastic-adam
"""

import keras
import numpy as np
from keras import layers, ops

from examples.recipes import recipe

USERS, FILMS, RATINGS = 400, 300, 16_000


def data():
    random = np.random.default_rng(0)
    taste, kind = (random.normal(size=(n, 4)) / 2 for n in (USERS, FILMS))
    users = random.integers(USERS, size=RATINGS)
    popularity = 1 / np.arange(1, FILMS + 1)
    films = random.choice(FILMS, size=RATINGS, p=popularity / popularity.sum())
    rating = (taste[users] * kind[films]).sum(axis=1) + kind[films, 0]
    rating += 0.3 * random.normal(size=RATINGS)
    return np.stack([users, films], axis=1).astype("int32"), rating.astype("float32")


def make_model():
    pair = keras.Input((2,), dtype="int32")
    user, film = pair[:, 0], pair[:, 1]
    product = layers.Embedding(USERS, 8)(user) * layers.Embedding(FILMS, 8)(film)
    biases = layers.Embedding(USERS, 1)(user) + layers.Embedding(FILMS, 1)(film)
    return keras.Model(pair, ops.sum(product, axis=1, keepdims=True) + biases)


def train(run):
    (x, y), held_out = recipe.split(run, *data())
    batches = run.batches(x, y)
    model = make_model()
    model.compile(
        optimizer=run.optimizer(batches),
        loss="mse",
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
        "recommender", train, __doc__, argv, epochs=8, batch_size=64, metric="val_loss"
    )


if __name__ == "__main__":
    main()
