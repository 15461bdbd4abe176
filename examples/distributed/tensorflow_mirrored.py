"""Data parallelism on TensorFlow: a copy of the model on every device.

    KERAS_BACKEND=tensorflow python -m examples.distributed.tensorflow_mirrored

Model and optimizer are made under the scope of the strategy. Here the devices are
two halves of the processor; leave `DEVICES` out to use all GPUs of the machine.

Limits, which are those of Keras for every optimizer: gradient accumulation raises in
`fit`, and `clipnorm`, `clipvalue` and `global_clipnorm` act on the gradient of each
replica, before these are summed.
"""

import contextlib

import tensorflow as tf

from examples.distributed import digits
from keras_neuroplastic import NeuroPlastic

DEVICES = ["CPU:0", "CPU:1"]


def split_processor():
    """Two logical devices, to be made before TensorFlow computes anything."""
    (processor,) = tf.config.list_physical_devices("CPU")
    half = tf.config.LogicalDeviceConfiguration()
    tf.config.set_logical_device_configuration(processor, [half] * len(DEVICES))


def main():
    arguments = digits.arguments(__doc__)
    scope, replicas = contextlib.nullcontext(), 1
    if not arguments.single:
        split_processor()
        strategy = tf.distribute.MirroredStrategy(DEVICES)
        scope, replicas = strategy.scope(), strategy.num_replicas_in_sync
    with scope:
        model = digits.classifier()
        optimizer = NeuroPlastic(weight_decay=1e-3)
        model.compile(optimizer, digits.loss(), jit_compile=False)
        model.fit(
            *digits.data(),
            batch_size=digits.BATCH_SIZE,
            epochs=digits.EPOCHS,
            shuffle=False,
            verbose=2,
        )
    print(f"trained on {replicas} devices")
    digits.report(model, optimizer, arguments.save, devices=replicas)


if __name__ == "__main__":
    main()
