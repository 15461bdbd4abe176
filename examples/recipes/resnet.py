"""A residual network with batch normalisation: handwritten digits of 8 × 8 pixels.

python -m examples.recipes.resnet --tune --optimizer adam plastic-adam

Laid out like the small ones of the paper of residual networks (He et al., 2016, section
4.2), with one block of 16, 32 and 64 filters each, and projections as shortcuts.
"""

import keras
from keras import layers

from examples.recipes import convolutional, recipe


def normalised(x, filters, size, stride=1):
    """A convolution and what follows it; the normalisation has the bias."""
    options = {"strides": stride, "padding": "same", "use_bias": False}
    return layers.BatchNormalization()(layers.Conv2D(filters, size, **options)(x))


def block(x, filters, stride):
    y = layers.ReLU()(normalised(x, filters, 3, stride))
    y = normalised(y, filters, 3)
    if stride > 1:
        x = normalised(x, filters, 1, stride)
    return layers.ReLU()(layers.Add()([x, y]))


def make_model():
    inputs = keras.Input((8, 8, 1))
    x = layers.ReLU()(normalised(inputs, 16, 3))
    for filters, stride in ((16, 1), (32, 2), (64, 2)):
        x = block(x, filters, stride)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(10)(x))


def train(run):
    (x, y), held_out = recipe.split(run, *convolutional.data())
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
    recipe.main("resnet", train, __doc__, argv, epochs=12, batch_size=32)


if __name__ == "__main__":
    main()
