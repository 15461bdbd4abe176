"""NeuroPlastic, a plasticity-modulated optimizer for Keras 3."""

from keras_neuroplastic.modulated import PlasticityModulated
from keras_neuroplastic.monitor import PlasticityMonitor
from keras_neuroplastic.neuroplastic import NeuroPlastic
from keras_neuroplastic.reading import plasticity_statistics
from keras_neuroplastic.residuals import BoundedResidual, OrthogonalResidual
from keras_neuroplastic.schedules import PlasticityWarmup, PlasticityWindow

__version__ = "0.1.0"

__all__ = [
    "BoundedResidual",
    "NeuroPlastic",
    "OrthogonalResidual",
    "PlasticityModulated",
    "PlasticityMonitor",
    "PlasticityWarmup",
    "PlasticityWindow",
    "__version__",
    "plasticity_statistics",
]
