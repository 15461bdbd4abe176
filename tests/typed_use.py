"""The public names as a typed program has them; mypy reads this, nobody runs it.

A comment `type: ignore` says which mistake it must tell.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, assert_type

import keras
import numpy as np

import keras_neuroplastic
from keras_neuroplastic import (
    BoundedResidual,
    NeuroPlastic,
    OrthogonalResidual,
    PlasticityModulated,
    PlasticityMonitor,
    PlasticityWarmup,
    PlasticityWindow,
    plasticity_statistics,
)


@dataclass(frozen=True)
class MyResidual:
    share: float = 0.5

    def update(
        self,
        g: Any,
        alpha: Any,
        alpha_gradient: Any,
        unit: Any,
        strength: Any,
        axis: Any = None,
    ) -> Any:
        return g + self.share * (alpha - 1) * g


assert_type(keras_neuroplastic.__version__, str)
assert_type(NeuroPlastic.paper(938), NeuroPlastic)
assert_type(NeuroPlastic.many_inputs(1.0, max_alpha=9.0), NeuroPlastic)
assert_type(NeuroPlastic.gradient_only(0.1, weight_decay=1e-4), NeuroPlastic)
optimizer = NeuroPlastic(
    keras.optimizers.schedules.CosineDecay(0.1, 100),
    plasticity_scale=PlasticityWarmup(10, scale=2, stair_steps=5),
    max_update_norm=None,
    weight_decay_exclude=["bias"],
    clipnorm=1,
)
NeuroPlastic(lambda: 0.1, residual=OrthogonalResidual(PlasticityWindow(5, 10)))
NeuroPlastic(residual=BoundedResidual(0.3))
NeuroPlastic(residual=MyResidual())
NeuroPlastic(max_alpha="2")  # type: ignore[arg-type]
NeuroPlastic(lr=0.1)  # type: ignore[arg-type]
NeuroPlastic(residual=0.5)  # type: ignore[arg-type]
NeuroPlastic(max_alpha=None)  # type: ignore[arg-type]
NeuroPlastic.paper("938")  # type: ignore[arg-type]

PlasticityModulated("adam", strength=PlasticityWindow(start=5), max_ratio=None)
PlasticityModulated(keras.optimizers.Adam(1e-3), modulate="kernel", target="trust")
PlasticityModulated("adam", target="norm")  # type: ignore[arg-type]
PlasticityModulated()  # type: ignore[call-arg]
PlasticityWarmup()  # type: ignore[call-arg]
PlasticityWindow("5")  # type: ignore[arg-type]

monitor = PlasticityMonitor(log_dir=Path("logs"), layers=["kernel"])
assert_type(monitor.history["kernel"]["alpha_mean"], np.ndarray)
monitor.plot(Path("plasticity.png")).savefig("again.png")
monitor.plot(5)  # type: ignore[arg-type]
optimizer.collect_statistics()
assert_type(plasticity_statistics(optimizer)["kernel"], dict[str, Any])
