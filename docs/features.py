"""Writes docs/features.md from the reports of the tests that ran.

    make features

runs the tests of every backend, each with a report in build/, and then this. A cell is
"yes" where tests of the feature passed and none failed, "–" where none applies, "NO"
where one failed. A name that no test begins with is an error.
"""

import sys
import xml.etree.ElementTree as ElementTree
from importlib.metadata import version
from itertools import chain
from pathlib import Path

BACKENDS = {"jax": "JAX", "tensorflow": "TensorFlow", "torch": "PyTorch"}
REPORTS = {
    "jax": ["jax.numbers.xml", "jax.xml"],
    "tensorflow": ["tensorflow.numbers.xml", "tensorflow.xml"],
    "torch": ["torch.xml"],
}
# Feature, the tests that show it (prefixes of file.test), and its limits.
FEATURES = [
    (
        "Steps as published, float64 and float32",
        ["test_golden.", "test_twin.test_every_step"],
        "",
    ),
    (
        "`fit`, eager and compiled, and a custom loop",
        [
            "test_training.test_fit",
            "test_training.test_custom",
            "test_contract.test_fit",
        ],
        "`jit_compile=True` on PyTorch needs a C++ compiler",
    ),
    (
        "No recompilation after the first step",
        ["test_training.test_no_recompilation", "test_contract.test_the_second_step"],
        "",
    ),
    (
        "`stateless_apply`",
        ["test_contract.test_stateless_apply"],
        "Keras refuses it on TensorFlow, for every optimizer",
    ),
    (
        "`.keras` files, in the middle of training",
        ["test_saving.test_keras_file"],
        "Layers may lose the model's name in front of their path on loading: write "
        "patterns that do not begin with it. `.h5` files hold no slots",
    ),
    (
        "Files of another backend",
        ["test_saving.test_a_file_continues"],
        "Tests: JAX reads TensorFlow's, TensorFlow PyTorch's, PyTorch JAX's",
    ),
    (
        "`BackupAndRestore` after a kill",
        ["test_saving.test_backup_and_restore"],
        "Goes on from the end of the last whole epoch",
    ),
    ("`tf.train.Checkpoint`", ["test_saving.test_tensorflow_checkpoint"], ""),
    (
        "pickle and deepcopy, with the slots",
        ["test_saving.test_a_pickled", "test_saving.test_a_copied"],
        "Within `LossScaleOptimizer` or `MultiOptimizer`, copy the whole model; "
        "`exclude_from_weight_decay` is not copied",
    ),
    (
        "`load_weights`",
        ["test_saving.test_load_weights"],
        "Call `optimizer.build(model.trainable_variables)` first, or Keras warns and "
        "leaves the slots out",
    ),
    (
        "float16 and bfloat16, mixed and pure, float32 slots",
        [
            "test_precision.test_slots",
            "test_precision.test_mixed",
            "test_precision.test_a_bfloat16",
        ],
        "",
    ),
    (
        "Dynamic and fixed loss scaling",
        [
            "test_precision.test_an_overflowing",
            "test_precision.test_a_fixed",
            "test_composition.test_dynamic",
        ],
        "",
    ),
    (
        "float8, int8 and LoRA",
        [
            "test_precision.test_float8",
            "test_precision.test_lora",
            "test_precision.test_the_rules",
        ],
        "float8 with `ema_overwrite_frequency` is refused on JAX, where Keras fails",
    ),
    (
        "Sparse gradients",
        ["test_sparse."],
        "Summed into dense ones first; the step reads the whole table",
    ),
    (
        "Moving average of the weights",
        ["test_averaging.test_average", "test_averaging.test_finalize"],
        "In the dtype of the variable, as everywhere in Keras: with pure float16 or "
        "bfloat16 the average is coarse, with a mixed policy it is float32",
    ),
    (
        "Gradient accumulation",
        ["test_averaging.test_accumulation", "test_averaging.test_between"],
        "Learning-rate schedules count micro-batches, as everywhere in Keras; "
        "schedules of the plasticity scale count real updates",
    ),
    (
        "Statistics of what plasticity did, `PlasticityMonitor`",
        ["test_statistics.", "test_monitor."],
        "Not saved; `steps_per_execution` is 1 on PyTorch, as everywhere in Keras",
    ),
    (
        "Decay excluded by path",
        ["test_averaging.test_the_decay_mask", "test_averaging.test_keras_exclusion"],
        "`exclude_from_weight_decay` is not saved; `weight_decay_exclude` is",
    ),
    (
        "A hyperparameter set after the first step",
        [
            "test_averaging.test_hyperparameters",
            "test_averaging.test_a_learning_rate",
            "test_averaging.test_a_scheduler",
        ],
        "The learning rate takes effect; all others raise",
    ),
    ("Clipping by value, norm and global norm", ["test_composition.test_clipping"], ""),
    ("Constraints", ["test_composition.test_constraints"], ""),
    (
        "`MultiOptimizer`",
        ["test_composition.test_multi", "test_saving.test_keras_file[multi]"],
        "",
    ),
    (
        "`PlasticityModulated` around every optimizer of Keras, and one of your own",
        ["test_modulated.", "test_golden_modulated."],
        "`LossScaleOptimizer` and `MultiOptimizer` go around it, not into it",
    ),
    (
        "Residual forms, as published",
        [
            "test_golden_modulated.test_float64[bounded",
            "test_golden_modulated.test_float64[orth",
        ],
        "",
    ),
    ("`tf.Variable`", ["test_composition.test_tensorflow_variables"], ""),
    ("Skipping of non-finite gradients", ["test_twin.test_skip_nonfinite"], ""),
    (
        "Data parallel",
        [
            "test_distribution.test_jax_data",
            "test_distribution.test_tensorflow_mirrored",
            "test_distribution.test_mirrored",
            "test_distribution.test_torch_ddp",
        ],
        "`keras.distribution`, `MirroredStrategy` (jit off; Keras refuses accumulation "
        "there), `DistributedDataParallel`; tried on virtual devices",
    ),
    (
        "Model parallel",
        ["test_distribution.test_jax_model"],
        "`keras.distribution.ModelParallel`; slots are sharded as their variables",
    ),
    (
        "Transformations of JAX: `scan`, `vmap`, `export`, donation, and `grad` and "
        "`checkpoint` through several steps",
        [
            "test_transformations.test_scan",
            "test_transformations.test_vmap",
            "test_transformations.test_export",
            "test_transformations.test_donation",
            "test_differentiation.",
        ],
        "",
    ),
    (
        "`pmap`, `shard_map`, and arrays sharded by hand without `keras.distribution`",
        ["test_transformations.test_several_devices"],
        "Within `shard_map` Keras refuses parts of a variable, for every optimizer",
    ),
    (
        "Several threads, another process, one model after another",
        [
            "test_company.test_threads",
            "test_company.test_another_process",
            "test_company.test_one_after_another",
        ],
        "",
    ),
    (
        "A cloned model, with a new optimizer of the same configuration",
        ["test_company.test_a_cloned_model", "test_company.test_an_optimizer"],
        "Do not hand on the old one: on JAX it goes on with its traces, as every Keras "
        "optimizer does, and the other backends refuse it",
    ),
    ("Two optimizers in one step, as in a GAN", ["test_adversaries."], ""),
    (
        "Gradients that are arrays, lists, numbers or variables",
        ["test_gradients.test_what_can_be", "test_gradients.test_what_is_smaller"],
        "What is smaller is broadcast to its variable",
    ),
    (
        "Refusal of gradients and variables that cannot be stepped",
        ["test_gradients.test_what_cannot", "test_gradients.test_a_variable"],
        "Variables must be float16, bfloat16, float32 or float64",
    ),
    (
        "Variables overwritten by their gradient",
        [
            "test_contract.test_overwriting",
            "test_composition.test_overwrite",
            "test_composition.test_dynamic_loss_scale_spares",
        ],
        "",
    ),
    (
        "In keras-tuner and scikit-learn, by configuration",
        ["test_libraries.test_keras_tuner", "test_libraries.test_scikit_learn"],
        "",
    ),
    (
        "The contract of the built-in optimizers",
        ["test_contract.", "test_composition."],
        "",
    ),
    (
        "What surrounds a step once more with `jit_compile=True` on TensorFlow",
        ["jit."],
        "",
    ),
]


def read(*paths):
    """A dict from file.test[case] to passed, skipped or failed."""
    outcomes = {}
    roots = map(ElementTree.parse, paths)
    for case in chain.from_iterable(root.iter("testcase") for root in roots):
        name = f"{case.get('classname').rsplit('.', 1)[-1]}.{case.get('name')}"
        tags = {child.tag for child in case}
        failed = tags & {"failure", "error"}
        outcomes[name] = "failed" if failed else "skipped" if tags else "passed"
    return outcomes


def cell(outcomes, prefixes):
    found = [o for name, o in outcomes.items() if name.startswith(tuple(prefixes))]
    if "failed" in found:
        return "NO"
    return "yes" if "passed" in found else "–"


def check(outcomes):
    """Exits with a message if a row names a test that does not exist."""
    names = {name for of_backend in outcomes.values() for name in of_backend}
    prefixes = {p for _, of_feature, _ in FEATURES for p in of_feature}
    unknown = [p for p in sorted(prefixes) if not any(n.startswith(p) for n in names)]
    if unknown:
        sys.exit(f"No test is named {', '.join(unknown)}. Mend the rows of {__file__}.")


def main(reports, page):
    outcomes = {b: read(*(Path(reports) / r for r in REPORTS[b])) for b in BACKENDS}
    passed = [sum(o == "passed" for o in outcomes[b].values()) for b in BACKENDS]
    jit = read(Path(reports) / "tensorflow-jit.xml")
    outcomes["tensorflow"] |= {f"jit.{name}": outcome for name, outcome in jit.items()}
    check(outcomes)
    packages = ("keras", "jax", "tensorflow", "torch")
    lines = [
        "# Features by backend",
        "",
        "Written by `make features` from the tests that ran, with "
        + ", ".join(f"{package} {version(package)}" for package in packages)
        + ": "
        + ", ".join(
            f"{n} passed on {b}" for n, b in zip(passed, BACKENDS.values(), strict=True)
        )
        + ".",
        "",
        f"| feature | {' | '.join(BACKENDS.values())} | limits |",
        f"| --- | {' | '.join('---' for _ in BACKENDS)} | --- |",
    ]
    for feature, prefixes, limits in FEATURES:
        cells = " | ".join(cell(outcomes[b], prefixes) for b in BACKENDS)
        lines.append(f"| {feature} | {cells} | {limits} |")
    Path(page).write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
