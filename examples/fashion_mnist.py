"""Fashion-MNIST with the configuration locked on MNIST: same network, no retuning.

python -m examples.fashion_mnist --optimizer neuroplastic gradient-only adam
"""

import keras

from examples import harness
from examples.mnist import mlp


def train(run):
    (x, y), test = run.load("fashion_mnist")
    batches = run.batches(x, y)
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


def main(argv=None):
    harness.main(
        "fashion_mnist",
        train,
        __doc__,
        epochs=10,
        batch_size=64,
        seconds_per_epoch=4,
        argv=argv,
    )


if __name__ == "__main__":
    main()
