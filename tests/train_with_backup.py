"""Five epochs with a backup after each; on demand a sudden death in one of them."""

import argparse
import os
import signal

import keras
import numpy as np
from toy import fit, make_model, weights

from keras_neuroplastic import NeuroPlastic, PlasticityWarmup


class Die(keras.callbacks.Callback):
    def __init__(self, epoch):
        super().__init__()
        self.deadly = epoch
        self.epochs_run = 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epochs_run += 1
        self.epoch = epoch + 1

    def on_train_batch_end(self, batch, logs=None):
        if self.epoch == self.deadly and batch == 1:
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("backup")
    parser.add_argument("--die-in-epoch", type=int)
    parser.add_argument("--weights")
    args = parser.parse_args()
    model = make_model(NeuroPlastic(plasticity_scale=PlasticityWarmup(10, 2.0)))
    die = Die(args.die_in_epoch)
    backup = keras.callbacks.BackupAndRestore(args.backup)
    fit(model, epochs=5, callbacks=[backup, die])
    np.savez(args.weights, *weights(model), epochs_run=die.epochs_run)
