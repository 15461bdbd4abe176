"""Model parallelism on JAX: weights and their slots are split over the devices.

    XLA_FLAGS=--xla_force_host_platform_device_count=8 KERAS_BACKEND=jax \
        python -m examples.distributed.jax_model_parallel

Two groups of four devices share each batch; within a group every device holds a
quarter of each kernel, and of the traces of that kernel. The means and norms of the
update are those of the whole variable all the same.
"""

import keras

from examples.distributed import digits
from keras_neuroplastic import NeuroPlastic


def distribution():
    devices = keras.distribution.list_devices()
    mesh = keras.distribution.DeviceMesh(
        (2, len(devices) // 2), ["batch", "model"], devices
    )
    layout = keras.distribution.LayoutMap(mesh)
    layout[".*kernel"] = (None, "model")
    layout[".*bias"] = ("model",)
    return keras.distribution.ModelParallel(layout_map=layout, batch_dim_name="batch")


def main():
    arguments = digits.arguments(__doc__)
    if not arguments.single:
        keras.distribution.set_distribution(distribution())
    model = digits.classifier()
    model.compile(NeuroPlastic(weight_decay=1e-3), digits.loss())
    model.fit(
        *digits.data(),
        batch_size=digits.BATCH_SIZE,
        epochs=digits.EPOCHS,
        shuffle=False,
        verbose=2,
    )
    layouts = {}
    for v in [*model.trainable_variables, *model.optimizer.variables]:
        shard = v.value.sharding.shard_shape(v.value.shape)
        print(f"{v.path}: {shard} of {v.shape} on each device")
        layouts[f"shard/{v.path}"] = shard
    devices = len(model.layers[0].kernel.value.devices())
    digits.report(model, model.optimizer, arguments.save, devices=devices, **layouts)


if __name__ == "__main__":
    main()
