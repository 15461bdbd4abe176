"""Fashion-MNIST with a random share of its training set, the same for each optimizer.

    python -m examples.low_data --fraction 0.1 0.25 --optimizer neuroplastic adam

The subset depends on the seed alone, a smaller one is part of a larger one, and its
indices are kept in a file beside the results.
"""

import keras

from examples import harness
from examples.harness import data
from examples.mnist import mlp


def train(run):
    (x, y), test = run.load("fashion_mnist")
    chosen = data.subset(len(x), run.fraction, run.seed)
    run.keep("subset", chosen)
    batches = run.batches(x[chosen], y[chosen])
    model = mlp()
    model.compile(
        optimizer=run.optimizer(batches),  # NeuroPlastic.paper(len(batches)), or other
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(
        batches,
        epochs=run.epochs,
        initial_epoch=run.epochs_done,
        validation_data=test,
        validation_batch_size=1000,
        callbacks=run.callbacks(batches),
        verbose=0,
    )


FRACTION = {
    "type": harness.number(float, 0, 1, low_allowed=False),
    "default": [0.1, 0.25, 0.5, 1.0],
    "metavar": "SHARE",
    "help": "of the training set to train on",
}


def main(argv=None):
    harness.main(
        "low_data",
        train,
        __doc__,
        epochs=10,
        batch_size=64,
        seconds_per_epoch=3,
        argv=argv,
        fraction=FRACTION,
    )


if __name__ == "__main__":
    main()
