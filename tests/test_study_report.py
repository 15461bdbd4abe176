"""The report's arithmetic, against scipy's own intervals."""

import errno
import json

import numpy as np
import pytest

pytest.importorskip("scipy", reason="needs the extra `examples`")
pytest.importorskip("tqdm", reason="needs the extra `examples`")

from scipy import stats

from examples import report
from examples.harness import figures
from examples.harness.compare import group, reference, row_name


def runs(optimizer, rate, accuracies, **config):
    """Records with one accuracy, or a course of them, for each seed."""
    config = {"optimizer": optimizer, "learning_rate": rate, "tuned": False, **config}
    return [
        {
            "config": {"study": "toy", **config, "seed": seed},
            "metrics": {"val_accuracy": np.atleast_1d(course).tolist()},
            "diverged": False,
        }
        for seed, course in enumerate(accuracies)
    ]


def write(path, accuracies, diverged=()):
    """A results file with one run for each optimizer and seed."""
    with path.open("w") as file:
        for name, values in accuracies.items():
            for seed, value in enumerate(values):
                config = {"study": "toy", "optimizer": name, "learning_rate": 0.1}
                config |= {"tuned": False, "seed": seed, "fraction": 0.5}
                metrics = {"val_accuracy": [value / 2, value]}
                bad = (name, seed) in diverged
                record = {"config": config, "metrics": metrics, "diverged": bad}
                file.write(json.dumps(record) + "\n")


def test_intervals_and_pairs(tmp_path, capsys):
    ours, theirs = [0.91, 0.95, 0.90, 0.93], [0.90, 0.96, 0.90, 0.89]
    path = tmp_path / "toy.jsonl"
    write(path, {"adam": ours, "gradient-only": theirs}, {("adam", 2)})
    report.main([str(path), "--figures", str(tmp_path)])
    printed = capsys.readouterr().out

    def expected(values):
        low, high = stats.ttest_1samp(values, 0).confidence_interval(0.95)
        return f"{np.mean(values):.2f} ± {(high - low) / 2:.2f}"

    ours, theirs = 100 * np.array(ours), 100 * np.array(theirs)
    row = (
        f"| adam | 0.1 | 4 | {expected(ours)} | {expected(ours - theirs)} | 2/1/1 | 1 |"
    )
    assert row in printed
    assert f"| gradient-only | 0.1 | 4 | {expected(theirs)} |  |  |  |" in printed
    assert expected(ours) not in expected(ours + 0.01)  # a wrong mean would show
    assert (tmp_path / "toy-gap-1.png").exists()


@pytest.mark.parametrize("finite", [0, 1, 2])
def test_a_loss_that_is_not_finite_is_left_out_and_counted(finite, tmp_path, capsys):
    path = tmp_path / "toy.jsonl"
    records = [*runs("gradient-only", 0.1, [0, 0, 0]), *runs("adam", 0.1, [0, 0, 0])]
    for number, record in enumerate(records):
        lost = number >= 3 + finite
        loss = None if lost else float(number)
        record |= {"metric": "val_loss", "diverged": lost}
        record["metrics"] = {"val_loss": [9.0, loss]}
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    report.main([str(path)])
    mean, gain, signs = {
        0: ("–", "", ""),
        1: ("3.000", "3.000", "0/1/0"),
        2: ("3.500 ± 6.353", "3.000 ± 0.000", "0/2/0"),
    }[finite]
    row = f"| adam | 0.1 | 3 | {mean} | {gain} | {signs} | {3 - finite} |"
    assert row in capsys.readouterr().out


def test_one_seed_has_no_interval(tmp_path, capsys):
    path = tmp_path / "toy.jsonl"
    write(path, {"adam": [0.5]})
    report.main([str(path)])
    assert "| adam | 0.1 | 1 | 50.00 |  |  |  |" in capsys.readouterr().out


def test_a_missing_file_gets_one_line(tmp_path, capsys):
    with pytest.raises(SystemExit):
        report.main([str(tmp_path / "none.jsonl")])
    assert capsys.readouterr().err.count("\n") == 1


def test_an_empty_file_gets_one_line(tmp_path, capsys):
    path = tmp_path / "none.jsonl"
    path.write_text("")
    with pytest.raises(SystemExit):
        report.main([str(path)])
    assert capsys.readouterr().err.startswith(f"{path} holds no results.")


def test_the_reference_is_of_the_same_rate_or_the_only_one():
    adam = "adam", 0.001, False
    plain = [runs("gradient-only", rate, [0.5]) for rate in (0.1, 0.01)]
    ours = runs("adam", 0.001, [0.6])
    assert reference(group(ours + plain[0], row_name), adam) == plain[0]
    rows = group(ours + plain[0] + plain[1], row_name)
    assert reference(rows, adam) == []
    assert reference(rows, ("sgd", 0.01, False)) == plain[1]


def test_trials_are_not_compared(tmp_path, capsys):
    path = tmp_path / "toy.jsonl"
    trials = {"evaluate_on": "validation", "fraction": 0.5}
    records = runs("adam", 0.1, [0.6], **trials)
    records += runs("gradient-only", 0.1, [0.5], **trials)
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    report.main([str(path), "--figures", str(tmp_path)])
    assert "| adam | 0.1 | 1 | 60.00 |  |  |  |" in capsys.readouterr().out
    assert not (tmp_path / "toy-gap-1.png").exists()


def printed_table(path, capsys, records, *arguments):
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    report.main([str(path), *arguments])
    return capsys.readouterr().out


def test_another_reference(tmp_path, capsys):
    path, records = tmp_path / "toy.jsonl", []
    for name, accuracy in ("adam", 0.6), ("gradient-only", 0.5), ("sgd", 0.45):
        records += runs(name, 0.1, [accuracy])
    printed = printed_table(path, capsys, records, "--reference", "adam")
    assert "| from adam | better/worse/equal | diverged |" in printed
    assert "| sgd | 0.1 | 1 | 45.00 | -15.00 | 0/1/0 |  |" in printed
    assert "| adam | 0.1 | 1 | 60.00 |  |  |  |" in printed
    with pytest.raises(SystemExit) as stop:
        report.main([str(path), "--reference", "lion"])
    assert stop.value.code == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "--reference: 'lion' is none of adam, gradient-only, sgd" in message


def test_a_modulated_optimizer_is_compared_with_the_bare_one(tmp_path, capsys):
    path, tuned = tmp_path / "toy.jsonl", {"tuned": True}
    records = runs("gradient-only", 0.1, [0.5, 0.5], **tuned)
    records += runs("adam", 0.001, [0.6, 0.7], **tuned)
    records += runs("plastic-adam", 0.003, [0.7, 0.7], **tuned)
    records += runs("plastic-lion", 0.003, [0.4], **tuned)  # without lion
    head, _, *rows = printed_table(path, capsys, records).splitlines()[2:6]
    assert head.count("better/worse/equal") == 2
    assert "| from gradient-only |" in head
    assert "| from the bare optimizer |" in head
    half = stats.ttest_1samp([10, 0], 0).confidence_interval(0.95).high - 5
    assert rows[0].endswith("| 2/0/0 |  |  |  |")  # adam
    printed = printed_table(path, capsys, records)
    assert f"| 20.00 ± 0.00 | 2/0/0 | 5.00 ± {half:.2f} | 1/0/1 |  |" in printed
    assert "| plastic-lion | 0.003 (tuned) | 1 | 40.00 | -10.00 | 0/1/0 |  |" in printed
    # Where the bare one was tuned and this one was not, there is nothing to compare.
    mixed = [r for r in records if r["config"]["optimizer"] == "adam"]
    mixed += runs("plastic-adam", 0.001, [0.7])
    assert "bare" not in printed_table(path, capsys, mixed)


def test_a_study_may_count_the_loss(tmp_path, capsys):
    records = []
    for name, values in ("adam", [1.0, 1.5]), ("gradient-only", [1.25, 1.25]):
        for record, value in zip(runs(name, 0.1, [0.5, 0.5]), values, strict=True):
            metrics = {**record["metrics"], "val_loss": [9.0, value]}
            records.append({**record, "metric": "val_loss", "metrics": metrics})
    path = tmp_path / "toy.jsonl"
    printed = printed_table(path, capsys, records, "--figures", str(tmp_path))
    assert "| seeds | loss | from gradient-only |" in printed
    assert "| gradient-only | 0.1 | 2 | 1.250 ± 0.000 |  |  |  |" in printed
    assert "| 0.000 ± 3.177 | 1/1/0 |" in printed
    lower = [r for r in records if r["config"]["seed"] == 0]
    assert "| -0.250 | 1/0/0 |" in printed_table(path, capsys, lower)


def test_seeds_that_are_tuned_apart_are_one_row(tmp_path, capsys):
    records, trials = [], []
    for rate, values in (0.1, [0.5]), (0.3, [0.7, 0.7]):
        tuned = {"tuned": "each seed"}
        records.append(runs("adam", rate, values, **tuned)[-1])
        trials += runs("adam", rate, values, **tuned, evaluate_on="validation")
    printed = printed_table(tmp_path / "toy.jsonl", capsys, records)
    assert "| adam | tuned | 2 | 60.00 ± 127.06 |" in printed
    printed = printed_table(tmp_path / "toy.jsonl", capsys, trials)
    assert "| adam | 0.3 (tuned) | 2 | 70.00 ± 0.00 |" in printed


@pytest.fixture
def drawn(monkeypatch):
    """The axes of every figure, kept open."""
    seen = []
    monkeypatch.setattr(figures, "save", lambda figure, axes, path: seen.append(axes))
    yield seen
    figures.plt.close("all")


def test_a_diverged_seed_does_not_cut_the_others_off(drawn):
    records = runs("adam", 0.1, [[0.2, 0.4, 0.6], [0.4, 0.8, 0.8]])
    [short] = runs("adam", 0.1, [[0.0]])
    rows = {("adam", 0.1, False): [*records, {**short, "diverged": True}]}
    figures.plot_courses(rows, "title", None)
    [line] = drawn[0].lines
    np.testing.assert_allclose(line.get_ydata(), [20, 60, 70])
    assert line.get_label() == "adam, 0.1, 1 diverged"
    band = drawn[0].collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == (0, pytest.approx(80))


def test_tuned_rates_make_one_line(drawn):
    records = []
    for fraction, rate, ours in (0.1, 0.3, 0.7), (0.5, 0.03, 0.8):
        shared = {"tuned": True, "fraction": fraction}
        records += runs("adam", rate, [ours, ours], **shared)
        records += runs("gradient-only", 1 - rate, [0.5, 0.5], **shared)
    figures.plot_gaps(records, "title", None)
    [curve] = drawn[0].containers
    np.testing.assert_allclose(curve.lines[0].get_xydata(), [[0.1, 20], [0.5, 30]])
    assert "adam, tuned" in drawn[0].get_legend_handles_labels()[1]


def test_files_of_one_name_keep_their_figures(tmp_path):
    paths = [tmp_path / folder / "toy.jsonl" for folder in "ab"]
    for path in paths:
        path.parent.mkdir()
        write(path, {"adam": [0.5]})
    report.main([*map(str, paths), "--figures", str(tmp_path / "figures")])
    names = {path.stem for path in (tmp_path / "figures").iterdir()}
    assert names == {"toy-1", "toy-gap-1", "toy_2-1", "toy_2-gap-1"}


def test_a_full_disk_gets_a_message(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", fail)
    path = tmp_path / "toy.jsonl"
    write(path, {"adam": [0.5]})
    with pytest.raises(SystemExit, match=r"is full\. Free some space"):
        report.main([str(path), "--figures", str(tmp_path)])
