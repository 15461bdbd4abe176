"""docs/results.md is what the records give, and says no more than they show."""

import json
import re
import shlex
from itertools import product
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("scipy", reason="needs the extra `examples`")
pytest.importorskip("matplotlib", reason="needs the extra `examples`")
pytest.importorskip("tqdm", reason="needs the extra `examples`")

from scipy import stats

from examples.evidence import __main__ as evidence
from examples.evidence import forest, noise, page, pages
from examples.evidence.cells import by_optimizer, load
from examples.evidence.claims import claims
from examples.evidence.commands import commands, rectangles
from examples.evidence.curves import curve, span
from examples.evidence.defaults import NAMES, ratios
from examples.evidence.defaults import whole as whole_of
from examples.evidence.origin import origin
from examples.evidence.paper import NOT_RUN, images
from examples.evidence.score import SCORES, final
from examples.evidence.studies import modulated, part, tuned
from examples.evidence.tables import NONE, markdown, narrow
from examples.evidence.verdicts import Pair, holm, judge, note, p_value
from examples.harness.command_line import make_parser
from examples.harness.optimizers import LEARNING_RATES
from examples.harness.plan import make_plan

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "results.md"
ACCURACY, LOSS = SCORES["val_accuracy"], SCORES["val_loss"]
SEEDS = (41, 42, 43, 44, 45, 46)
# What six seeds scatter by, and much less of it.
SPREAD = np.array([0, 3, 1, 5, 2, 4]) / 1000
LITTLE = np.array([0, 1, 0, 1, 1, 0]) / 10000


def runs(study, optimizer, values, axes=None, metric="val_accuracy", **settings):
    """A record for each value, with the settings in the order of a study's."""
    config = {
        "study": study,
        **(axes or {}),
        "optimizer": optimizer,
        "learning_rate": LEARNING_RATES[optimizer],
        "epochs": 10,
        "batch_size": 64,
        "limit": None,
        "backend": "jax",
        "evaluate_on": "test",
        "tuned": False,
        **settings,
    }
    return [
        {
            "config": {**config, "seed": seed},
            "metric": metric,
            "metrics": {"val_accuracy": [0.1, 0.1], metric: [0.1, value]},
            "diverged": False,
            "seconds": 30.0,
            "versions": {"python": "3.11.7", "keras": "3.15.1", "jax": "0.10.2"},
            "machine": "Linux x86_64, 2 CPUs",
            "date": f"2026-11-{seed % 10 + 20}T07:34:05+00:00",
        }
        for seed, value in zip(SEEDS, values, strict=False)
    ]


def against_ablation(gains, study="mnist", axes=None, **settings):
    """The locked configuration ahead of gradient-only by gains."""
    return [
        *runs(study, "neuroplastic", 0.9 + SPREAD + gains, axes, **settings),
        *runs(study, "gradient-only", 0.9 + SPREAD, axes, **settings),
    ]


def test_the_page_is_what_the_records_give():
    records = load(ROOT / "examples" / "measured")
    committed = PAGE.read_text(encoding="utf-8")
    assert page.fill(committed, pages.blocks(records)) == committed, "make results"
    counts = [r for r in records["low_data"] if r["config"]["evaluate_on"] == "test"]
    counts[0]["metrics"]["val_accuracy"][-1] += 0.001  # and nothing else
    assert page.fill(committed, pages.blocks(records)) != committed


def test_the_pictures_are_there():
    shown = re.findall(r"\]\(pictures/(\w+)\.png\)", PAGE.read_text(encoding="utf-8"))
    assert shown == [*pages.PICTURES]
    assert all((ROOT / "docs/pictures" / f"{name}.png").exists() for name in shown)


def test_marks_and_blocks_must_be_the_same():
    text = "before\n<!-- a: from the records -->\nold\n<!-- end of a -->\nafter"
    filled = page.fill(text, {"a": r"new \1"})
    assert "before" in filled
    assert r"new \1" in filled
    assert "after" in filled
    assert "old" not in filled
    assert page.fill(filled, {"a": r"new \1"}) == filled
    for blocks in {}, {"b": ""}, {"a": "", "b": ""}:
        with pytest.raises(ValueError, match="marks for"):
            page.fill(text, blocks)


def test_p_values_and_their_correction():
    values = [0.3, 0.1, -0.1, 0.4]
    np.testing.assert_allclose(p_value(values), stats.ttest_1samp(values, 0).pvalue)
    assert (p_value([0.1]), p_value([0, 0]), p_value([0.5, 0.5])) == (1, 1, 0)
    # Holm (1979): the smallest times 4, the next times 3, ..., none less than before.
    np.testing.assert_allclose(
        holm([0.03, 0.001, 0.04, 0.02]), [0.06, 0.004, 0.06, 0.06]
    )


def pair(score, gains):
    return Pair(score, dict(enumerate(gains)))


def test_a_wide_table_becomes_several_without_empty_rows():
    rows = [["a", 0, 1, NONE, NONE, 5], ["b", 0, NONE, 3, NONE, NONE]]
    assert narrow(["", "own", *"stuv"], rows, fixed=2, widest=2) == [
        markdown(["", "own", "s", "t"], [["a", 0, 1, NONE], ["b", 0, NONE, 3]]),
        markdown(["", "own", "u", "v"], [["a", 0, NONE, 5]]),
    ]
    assert "of this table" in note(2)
    assert "the 2 comparisons of these 5 tables" in note(2, 5)


def test_verdicts_are_corrected_for_the_number_of_comparisons():
    weak = pair(ACCURACY, [1, 2, 0.2, 0.5, 1.2])
    assert 0.01 < p_value(weak.gains) < 0.05
    assert judge([weak]) == ["wins"]
    nothing = pair(ACCURACY, [-1, 2, 0.2, -0.5, -0.2])
    assert judge([weak, *[nothing] * 4]) == ["level"] * 5
    strong = pair(ACCURACY, [-2, -2.1, -2.2, -2.1, -2])
    assert judge([weak, strong, *[nothing] * 3])[:2] == ["level", "loses"]


def test_less_loss_is_better():
    less = pair(LOSS, [-0.01, -0.012, -0.011])
    assert judge([less]) == ["wins"]
    assert judge([pair(ACCURACY, less.differences.values())]) == ["loses"]
    assert str(less) == "−0.011 ± 0.002 (3/0/0)"
    np.testing.assert_allclose(less.gains, [1, 1.2, 1.1])


def test_who_diverged_does_not_win():
    ours, theirs = (runs("mnist", "adam", SPREAD + x) for x in (0.1, 0))
    assert judge([Pair.of(ours, theirs)]) == ["wins"]
    ours[0]["diverged"] = True
    assert judge([Pair.of(ours, theirs)]) == ["level"]


def test_two_rates_of_a_seed_are_refused():
    both = [
        run
        for rate in (0.1, 0.3)
        for run in runs(
            "low_data", "sgd", [0.5], {"fraction": 0.1}, learning_rate=rate, tuned=True
        )
    ]
    with pytest.raises(ValueError, match="sgd has a seed with several rates"):
        by_optimizer(both)
    both[1]["config"]["seed"] = 42  # each seed its own
    assert [*by_optimizer(both)] == ["sgd"]


def test_of_a_family_the_best_on_held_out_data_stands_for_all():
    settings = {"axes": {"fraction": 0.1}, "tuned": True}
    records = runs("low_data", "adam", [0.7], **settings)
    # The one that is best on the test set is not to be taken.
    for name, tested, held_out in (
        *[("adamw", 0.8, 0.6), ("adamw-1", 0.7, 0.9)],
        *[("plastic-adamw", 0.5, 0.9), ("plastic-adamw-1", 0.6, 0.7)],
    ):
        records += runs("low_data", name, [tested], **settings)
        trials = {**settings, "evaluate_on": "validation"}
        records += runs("low_data", name, [held_out], **trials)
    [cell] = tuned(records).values()
    found = {name: run["metrics"]["val_accuracy"][-1] for name, [run] in cell.items()}
    assert found == {
        "adam": 0.7,
        "adamw (decay tuned)": 0.7,
        "plastic-adamw (decay tuned)": 0.5,
    }
    [pair] = modulated({"": cell}).values()
    assert [*pair.gains] == [pytest.approx(-20)]
    # With one of them modulated alone, that one is compared with the same.
    records = [r for r in records if r["config"]["optimizer"] != "plastic-adamw-1"]
    [cell] = tuned(records).values()
    assert set(cell) == {"adam", "adamw (decay tuned)", "adamw", "plastic-adamw"}
    [(of, pair)] = modulated({"": cell}).items()
    assert of == ("plastic-adamw", "")
    assert [*pair.gains] == [pytest.approx(-30)]


def test_many_inputs_with_a_penalty_is_compared_with_sgd_and_one():
    axes = {"noise": 500, "examples": 300, "model": "linear"}
    settings = {"axes": axes, "tuned": True}
    records = []
    for name, tested, held_out in (
        *[("sgd-l1-1e-3", 0.7, 0.6), ("sgd-l1-1e-2", 0.6, 0.5)],
        *[("activity-only-wide-free-l1-1e-3", 0.8, 0.5)],
        *[("activity-only-wide-free-l1-1e-2", 0.9, 0.7)],
    ):
        records += runs("irrelevant_inputs", name, [tested] * 2, **settings)
        trials = {**settings, "evaluate_on": "validation"}
        records += runs("irrelevant_inputs", name, [held_out], **trials)
    [_, title, table] = part(records)[:3]
    assert title == "`many_inputs` with an L1 penalty, less SGD with one:"
    assert "| activity-only-wide-free (L1 tuned) | +20.00" in table
    # It is no optimizer in PlasticityModulated.
    assert not modulated(tuned(records))


def claim(records, words):
    """The verdict of the claim that begins with the words."""
    return re.search(rf"^\| {words}[^|]*\| (.*?) \|", claims(records), re.MULTILINE)[1]


def test_a_claim_holds_by_its_comparisons():
    axes = {"model": "mlp"}
    mnist = against_ablation(0.01 + LITTLE, axes=axes)
    ahead = against_ablation(0.02 + LITTLE, "fashion_mnist")
    records = {"mnist": mnist, "fashion_mnist": ahead}
    assert claim(records, "always ahead") == "**holds** so far (2 of 6)"
    assert claim(records, "further ahead on Fashion") == "**holds**"
    assert claim(records, "ahead with reduced") == NOT_RUN
    records["low_data"] = against_ablation(
        0.01 + LITTLE, "low_data", {"fraction": 0.1}, batch_size=128
    )
    assert claim(records, "ahead with reduced") == "**holds** so far (1 of 3)"
    # Four comparisons, of which one is for two claims.
    assert "correction for the 4 comparisons" in claims(records)
    records["mnist"] = against_ablation(SPREAD - SPREAD.mean(), axes=axes)
    assert claim(records, "always ahead").startswith("**holds weakly**")
    records["mnist"] = against_ablation(-0.01 - LITTLE, axes=axes)
    assert claim(records, "always ahead").startswith("**does not hold**")
    records["mnist"] = against_ablation(0.03 + LITTLE, axes=axes)
    assert claim(records, "further ahead on Fashion") == "**does not hold**"


def test_runs_in_other_settings_do_not_count():
    axes = {"model": "mlp"}
    assert images({"mnist": against_ablation(LITTLE, axes=axes)}) != NOT_RUN
    for other in {"epochs": 9}, {"batch_size": 32}, {"limit": 99}, {"tuned": True}:
        records = {"mnist": against_ablation(LITTLE, axes=axes, **other)}
        assert images(records) == NOT_RUN


def tuned_study(study, axes, metric="val_accuracy", tuned=True):
    """Runs and trials of some optimizers, the default rate the best of three."""
    settings = {"axes": axes, "metric": metric, "tuned": tuned}
    better = -1 if metric == "val_loss" else 1
    names = ["neuroplastic-default", "sgd", "momentum", "adam", "lion", "plastic-adam"]
    records = []
    for place, name in enumerate(names):
        values = 0.5 + SPREAD + better * place * (0.01 + LITTLE)
        records += runs(study, name, values, **settings)
        for factor, worse in (0.1, 0.3), (1, 0), (10, 0.2):
            records += runs(
                *(study, name, [values[0] - better * worse]),
                **settings,
                evaluate_on="validation",
                learning_rate=factor * LEARNING_RATES[name],
            )
    return records


@pytest.fixture
def whole():
    """Something of every study."""
    low = [
        against_ablation(LITTLE, "low_data", {"fraction": share}, batch_size=128)
        for share in (0.1, 1.0)
    ]
    noise = [
        tuned_study("irrelevant_inputs", {"noise": k, "examples": n, "model": "linear"})
        for k in (0, 500)
        for n in (300, 1000)
    ]
    stem = {"backbone": "keras-hub", "stem": "cifar", "classes": "0-9"}
    cifar = against_ablation(LITTLE, "cifar10_resnet18", stem)
    cifar += runs("cifar10_resnet18", "adam", 0.9 + SPREAD, stem)
    return {
        "mnist": against_ablation(LITTLE, axes={"model": "mlp"}),
        "fashion_mnist": against_ablation(LITTLE, "fashion_mnist"),
        "low_data": [*low[0], *low[1], *tuned_study("low_data", {"fraction": 0.1})],
        "irrelevant_inputs": [run for of_cell in noise for run in of_cell],
        "gene_expression": tuned_study(
            *("gene_expression", {"data": "khan", "model": "linear"}),
            tuned="each seed",
        ),
        "language_model": tuned_study(
            "language_model", {"model": "lstm"}, metric="val_loss"
        ),
        "cifar10_resnet18": cifar,
    }


def test_every_block_grows_with_its_records(whole, tmp_path):
    measured, results = tmp_path / "measured", tmp_path / "results.md"
    measured.mkdir()
    for name, records in whole.items():
        lines = [json.dumps(record) + "\n" for record in records]
        # A study may be in several files.
        for half in 0, 1:
            (measured / f"{name}-{half}.jsonl").write_text("".join(lines[half::2]))
    results.write_text(PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    pages.write(measured, results, tmp_path)
    text = results.read_text(encoding="utf-8")
    # Of the blocks the transfer, of the claims those on wrong labels, and the forms.
    assert text.count(NOT_RUN) == 3
    assert all((tmp_path / f"{name}.png").exists() for name in pages.PICTURES)
    assert "| plastic-adam | −0.020 ± 0.000 (6/0/0) **wins** |" in text


def test_a_folder_without_records_changes_no_page(tmp_path, capsys):
    written = [tmp_path / name for name in ("results.md", "forms.md")]
    for path in written:
        path.write_text("whole")
    arguments = "--measured", tmp_path, "--page", written[0], "--forms", written[1]
    with pytest.raises(SystemExit):
        evidence.main([*map(str, arguments)])
    assert "--measured" in capsys.readouterr().err
    assert [path.read_text() for path in written] == ["whole"] * 2


def test_nothing_run_is_said_in_a_line(tmp_path):
    blocks = pages.blocks(load(tmp_path))
    del blocks["claims"]
    assert {*blocks.values()} == {NOT_RUN}
    for draw in pages.PICTURES.values():
        draw({}, tmp_path / "none.png")
    assert not [*tmp_path.iterdir()]


def test_a_line_over_the_columns_of_noise_is_of_the_first_who_ran(whole):
    records = whole["irrelevant_inputs"]
    few = [run for run in records if noise.panel(run["config"]) == ("linear", 300)]
    cells = noise.by_columns(few[::-1])
    assert [*cells] == [0, 500]
    found = noise.points(cells, ["not run", "adam", "sgd"])
    means = [np.mean([*final(cells[columns]["adam"]).values()]) for columns in cells]
    assert [mean for mean, _ in found.values()] == pytest.approx(means)
    assert not noise.points(cells, ["not run"])


def test_a_gain_far_away_is_an_arrow_that_dwarfs_no_other():
    gains = [pair(ACCURACY, [x, x + 0.1, x - 0.1]) for x in (*[1] * 30, -1, -40, 30)]
    far = forest.reach([each.gains for each in gains])
    assert 1 < far < 4
    _, axes = forest.plt.subplots()
    for height, each in enumerate(gains):
        forest.line(axes, height, each, "level", far)
    drawn = [x for x in axes.lines if x.get_marker() in ("o", "<", ">")]
    assert [(x.get_marker(), *x.get_xdata()) for x in drawn[-3:]] == [
        ("o", pytest.approx(-1)),
        ("<", -far),
        (">", far),
    ]
    forest.plt.close()


def test_a_span_of_rates_has_no_gap():
    rates = {0.01: 0.895, 0.1: 0.5, 0.3: 0.891, 1: 0.9, 3: 0.899}
    trials = [
        run
        for rate, value in rates.items()
        for run in runs("mnist", "sgd", [value], learning_rate=rate)
    ]
    factor, open_end = span(curve(trials), ACCURACY)
    assert (factor, open_end) == (pytest.approx(10), True)


def test_the_error_at_the_own_rate_by_the_smallest(whole):
    found = ratios(whole)
    assert len(found["sgd"]) == 7
    # In both, wrong answers and loss, plastic-adam is the best by five steps.
    assert found["plastic-adam"].tolist() == [1] * 7
    assert min(found["neuroplastic-default"]) > 1.05


def test_as_many_optimizers_and_tasks_as_are_known_together():
    few, many = (dict.fromkeys(names, 0.1) for names in (["sgd", "adam"], NAMES[:8]))
    assert whole_of([few, few, many]) == (tuple(NAMES[:8]), [many])
    assert whole_of([few, few, few, few, many])[0] == ("sgd", "adam")


def test_a_command_makes_the_runs_and_no_others(whole):
    axes = {
        "noise": {"type": int, "default": [0], "help": ""},
        "examples": {"type": int, "default": [0], "help": ""},
        "model": {"default": ["mlp"], "help": ""},
    }
    records = whole["irrelevant_inputs"]
    made = []
    for line in commands(records):
        backend, _, _, module, *arguments = shlex.split(line.replace("\\\n", " "))
        assert (backend, module) == ("KERAS_BACKEND=jax", "examples.irrelevant_inputs")
        line = re.sub(r"\$\(seq (\d+) (\d+)\)", seq, " ".join(arguments))
        parser = make_parser("irrelevant_inputs", "", 1, 1, axes)
        plan = make_plan("irrelevant_inputs", parser.parse_args(line.split()), axes)
        made += [{**c, "backend": "jax"} for configs, _ in plan for c in configs]
    wanted = [r["config"] for r in records if r["config"]["evaluate_on"] == "test"]
    assert sorted(made, key=repr) == sorted(wanted, key=repr)


def seq(match):
    first, last = map(int, match.groups())
    return " ".join(map(str, range(first, last + 1)))


def test_combinations_are_few_products():
    whole = {(("n", n), ("k", k)) for n in (1, 2, 3) for k in (0, 5)}
    assert len(rectangles(whole)) == 1
    part = whole - {(("n", 3), ("k", 5))}
    found = rectangles(part)
    assert len(found) == 2
    made = [one for columns in found for one in product(*columns)]
    assert sorted(made) == sorted(part)


def test_where_it_comes_from():
    records = runs("mnist", "adam", SPREAD, {"model": "mlp"})
    records[0]["versions"]["jax"] = "0.10.0"
    text = origin(records).splitlines()[-1]
    assert text == (
        "6 runs: 3 min of training, on Linux x86_64, 2 CPUs, 2026-11-21 to 2026-11-26; "
        "Python 3.11.7, Keras 3.15.1, JAX 0.10.0 and 0.10.2."
    )
