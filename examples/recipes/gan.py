"""A generative adversarial network: digits of 8 × 8 pixels made of sixteen numbers.

python -m examples.recipes.gan --tune --tuning-seeds 0 1 2 --optimizer adam-0.5

The critic learns to tell the generator's images from real ones, and the generator in
the same step to be taken for real (without saturation, as in Goodfellow et al., 2014).
One optimizer steps both, for it steps every variable by itself. What counts is the
Fréchet distance of 4096 images from the held-out ones, of normal distributions with
their means and covariances; it is recorded as the loss. Runs are so unlike one another
that a rate is chosen by several.
"""

import keras
import numpy as np
from keras import layers, ops

from examples.recipes import recipe, vae

WIDTH, MADE = 16, 4096
NOISE = 0.3  # on what the critic sees, or it knows the images by heart


def network(width, outputs, noise=0.0, activation=None):
    first = [keras.Input((width,)), layers.GaussianNoise(noise)]
    hidden = [layers.Dense(128, activation="leaky_relu") for _ in range(2)]
    return keras.Sequential(
        [*first, *hidden, layers.Dense(outputs, activation=activation)]
    )


class Game(layers.Layer):
    """What the critic says of images; its loss sets generator against critic."""

    def __init__(self):
        super().__init__()
        self.generator = network(WIDTH, 64, activation="sigmoid")
        self.critic = network(64, 1, NOISE)
        self.random = keras.random.SeedGenerator(0)

    def call(self, image):
        shape = ops.shape(image)[0], WIDTH
        made = self.generator(keras.random.normal(shape, seed=self.random))
        # The critic's loss of what is made has the slope σ(s) in the score s, that of
        # the generator -σ(-s): on the way back the gradient is turned by their ratio.
        ratio = ops.stop_gradient(ops.exp(-ops.maximum(self.critic(made), -30.0)))
        turned = ops.stop_gradient(made * (1 + ratio)) - made * ratio
        score = self.critic(image)
        loss = ops.softplus(-score) + ops.softplus(self.critic(turned))
        self.add_loss(ops.mean(loss))
        return score


def frechet(x, y):
    """The distance of normal distributions with the means and covariances of rows."""
    of_x, of_y = np.cov(x.T), np.cov(y.T)
    both = np.linalg.eigvals(of_x @ of_y).real.clip(0)
    apart = np.sum((x.mean(0) - y.mean(0)) ** 2)
    return apart + np.trace(of_x) + np.trace(of_y) - 2 * np.sum(np.sqrt(both))


class Distance(keras.callbacks.Callback):
    """Adds to the logs how far from real images made ones are."""

    def __init__(self, generator, real):
        super().__init__()
        self.generator, self.real = generator, real
        noise = np.random.default_rng(0).normal(size=(MADE, WIDTH))
        self.noise = noise.astype("float32")

    def on_epoch_end(self, epoch, logs=None):
        made = ops.convert_to_numpy(self.generator(self.noise))
        finite = np.all(np.isfinite(made))
        logs["val_loss"] = frechet(made, self.real) if finite else np.nan


def train(run):
    (x, y), (real, _) = recipe.split(run, *vae.data())
    batches = run.batches(x, y)
    image, game = keras.Input((64,)), Game()
    model = keras.Model(image, game(image))
    model.compile(optimizer=run.optimizer(batches))
    model.fit(
        batches,
        epochs=run.epochs,
        initial_epoch=run.epochs_done,
        callbacks=[Distance(game.generator, real), *recipe.callbacks(run, batches)],
        verbose=0,
    )


def main(argv=None):
    recipe.main(
        "gan", train, __doc__, argv, epochs=60, batch_size=32, metric="val_loss"
    )


if __name__ == "__main__":
    main()
