"""What plasticity does to each layer, on Fashion-MNIST.

    python -m examples.inspect_plasticity --page plasticity.png --log-dir logs

Trains the paper's MLP by NeuroPlastic, at a learning rate that falls to zero along half
a cosine, prints a line of the monitor's totals for each epoch, and saves the page of
PlasticityMonitor. With --log-dir it also writes series and histograms for TensorBoard.
docs/inspecting.md says how to read them.
"""

import keras
import matplotlib

from examples import arguments
from examples.harness import data
from examples.mnist import mlp
from keras_neuroplastic import NeuroPlastic, PlasticityMonitor

matplotlib.use("Agg")  # a picture in a file, on machines without a screen too
BATCH_SIZE = 64


def main(argv=None):
    parser = arguments.Parser(description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("--epochs", type=arguments.count, default=10, help="default: 10")
    add("--limit", type=arguments.count, help="training images, default: all")
    rate = {"type": arguments.learning_rate, "default": 0.1}
    add("--learning-rate", **rate, help="to begin with, default: 0.1")
    page = {"type": arguments.picture_file, "default": "plasticity.png"}
    add("--page", **page, help="file to save to (default: plasticity.png)")
    add("--log-dir", help="where TensorBoard is to find its files")
    args = parser.parse_args(argv)

    (x, y), test = data.load("fashion_mnist")
    x, y = x[: args.limit], y[: args.limit]
    keras.utils.set_random_seed(41)
    model = mlp()
    steps = args.epochs * -(-len(x) // BATCH_SIZE)
    schedule = keras.optimizers.schedules.CosineDecay(args.learning_rate, steps)
    model.compile(
        optimizer=NeuroPlastic(schedule),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    monitor = PlasticityMonitor(log_dir=args.log_dir)
    model.fit(
        x,
        y,
        batch_size=BATCH_SIZE,
        epochs=args.epochs,
        validation_data=test,
        callbacks=[monitor],
        verbose=2,
    )
    monitor.plot(args.page)
    print(f"What plasticity did is drawn in {args.page}")


if __name__ == "__main__":
    main()
