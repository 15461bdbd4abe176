"""Data parallelism on JAX: every device takes its share of each batch.

    XLA_FLAGS=--xla_force_host_platform_device_count=8 KERAS_BACKEND=jax \
        python -m examples.distributed.jax_data_parallel

Without the flag it uses the accelerators that there are. One line makes the
difference; weights and slots are replicated, gradients are those of the whole batch.
"""

import jax
import keras

from examples.distributed import digits
from keras_neuroplastic import NeuroPlastic


def main():
    arguments = digits.arguments(__doc__)
    if not arguments.single:
        keras.distribution.set_distribution(keras.distribution.DataParallel())
    model = digits.classifier()
    model.compile(NeuroPlastic(weight_decay=1e-3), digits.loss())
    model.fit(
        *digits.data(),
        batch_size=digits.BATCH_SIZE,
        epochs=digits.EPOCHS,
        shuffle=False,
        verbose=2,
    )
    devices = len(model.layers[0].kernel.value.devices())
    print(f"trained on {devices} of {jax.device_count()} devices")
    digits.report(model, model.optimizer, arguments.save, devices=devices)


if __name__ == "__main__":
    main()
