"""A variational autoencoder: digits of 8 × 8 pixels in eight numbers.

python -m examples.recipes.vae --tune --optimizer adam plastic-adam
"""

import keras
from keras import layers, ops
from sklearn.datasets import load_digits

from examples.recipes import recipe


def data():
    shades = load_digits().data.astype("float32") / 16
    return shades, shades


class Sample(layers.Layer):
    """From mean and log variance a draw, with the divergence from N(0, 1) as a loss."""

    def __init__(self):
        super().__init__()
        self.random = keras.random.SeedGenerator(0)

    def call(self, mean, log_variance):
        divergence = ops.exp(log_variance) + mean**2 - 1 - log_variance
        self.add_loss(ops.mean(ops.sum(divergence, axis=1)) / 2)
        noise = keras.random.normal(ops.shape(mean), seed=self.random)
        return mean + ops.exp(log_variance / 2) * noise


def make_model():
    image = keras.Input((64,))
    hidden = layers.Dense(64, activation="relu")(image)
    code = Sample()(layers.Dense(8)(hidden), layers.Dense(8)(hidden))
    hidden = layers.Dense(64, activation="relu")(code)
    return keras.Model(image, layers.Dense(64)(hidden))


def reconstruction(image, logits):
    """Nats an image."""
    return 64 * keras.losses.binary_crossentropy(image, logits, from_logits=True)


def train(run):
    (x, y), held_out = recipe.split(run, *data())
    batches = run.batches(x, y)
    model = make_model()
    model.compile(
        optimizer=run.optimizer(batches),
        loss=reconstruction,
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
        "vae", train, __doc__, argv, epochs=20, batch_size=32, metric="val_loss"
    )


if __name__ == "__main__":
    main()
