"""MNIST with columns of pure noise beside the pixels: who learns to ignore them?

    python -m examples.irrelevant_inputs --noise 0 2000 --optimizer momentum adam

Every image gets --noise further inputs, standard normal and independent of its label.
Few --examples are trained on. Which ones, and all noise, depend on the seed alone; the
indices of the examples are kept in a file beside the results.
"""

import keras
import numpy as np
from keras import layers

from examples import harness
from examples.harness import data


def mlp(inputs):
    hidden = layers.Dense(128, activation="relu")
    return keras.Sequential([keras.Input((inputs,)), hidden, layers.Dense(10)])


def linear(inputs):
    """Softmax regression."""
    return keras.Sequential([keras.Input((inputs,)), layers.Dense(10)])


MODELS = {"mlp": mlp, "linear": linear}


def with_noise(images, columns, seed):
    """Pixels from -1 to 1, and beside them columns of standard-normal noise."""
    pixels = images.reshape(len(images), -1).astype("float32") / 127.5 - 1
    random = np.random.default_rng(seed)
    noise = random.standard_normal((len(images), columns), dtype="float32")
    return np.concatenate([pixels, noise], axis=1)


def train(run):
    (x, y), (x_eval, y_eval) = run.load("mnist")
    chosen = data.subset(len(x), run.examples / len(x), run.seed)
    run.keep("subset", chosen)
    x = with_noise(x[chosen], run.noise, [run.seed, 4, 0])
    x_eval = with_noise(x_eval, run.noise, [run.seed, 4, 1])
    batches = run.batches(x, y[chosen])
    model = MODELS[run.model](x.shape[1])
    model.compile(
        optimizer=run.optimizer(batches),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(
        batches,
        epochs=run.epochs,
        initial_epoch=run.epochs_done,
        validation_data=(x_eval, y_eval),
        validation_batch_size=1000,
        callbacks=run.callbacks(batches),
        verbose=0,
    )


NOISE = {
    "type": harness.number(int, 0, 10**5),
    "default": [0, 500, 2000],
    "metavar": "COLUMNS",
    "help": "of noise beside the 784 pixels",
}
# As many as are left while tuning, with a tenth of the training set held out.
EXAMPLES = {
    "type": harness.number(int, 1, 54_000),
    "default": [1000],
    "metavar": "N",
    "help": "to train on",
}


def check(args):
    most = max(args.examples)
    if args.limit and args.limit < most:
        return f"argument --examples: {most} is more than --limit {args.limit} leaves"
    return None


def main(argv=None):
    harness.main(
        "irrelevant_inputs",
        train,
        __doc__,
        epochs=30,
        batch_size=64,
        seconds_per_epoch=0.2,
        check=check,
        argv=argv,
        noise=NOISE,
        examples=EXAMPLES,
        model={"choices": MODELS, "default": ["mlp"], "help": "the network"},
    )


if __name__ == "__main__":
    main()
