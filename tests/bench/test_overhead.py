"""What is compared is the same training, and the page says which figures were measured."""

import time

import pytest

from bench import drivers, overhead, scale_page
from bench.support import result_files

OURS = {
    "trials": 1000,
    "reports": 2000,
    "wall_seconds": 30.0,
    "wall_ms_a_trial": 30.0,
    "wall_ms_a_report": 15.0,
    "processor_ms_a_trial": 20.0,
    "processor_ms_a_report": 10.0,
    "tracking_held_ms_a_report": 0.0,
    "tracking_processor_ms_a_report": 5.0,
    "mb_per_1000_trials": 20.0,
}
SHIPPED = {key: 10 * value for key, value in OURS.items()} | {"tracking_held_ms_a_report": 600.0}


def test_a_claim_is_how_many_times_more_the_shipped_glue_takes():
    rows = {row["claim"]: row for row in overhead.rows(OURS, SHIPPED)}
    assert rows["driver, wall ms a report"]["ratio"] == 10
    (held,) = [row for claim, row in rows.items() if "holds the loop up" in claim]
    assert (held["ours"], held["shipped"], held["ratio"]) == (5.0, 600.0, 120)
    assert rows["tracking, processor ms a report"]["ratio"] == 10


def test_the_page_is_made_of_the_results_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(result_files, "FOLDER", tmp_path)
    monkeypatch.setattr(scale_page, "PAGE", tmp_path / "scale.md")
    result = result_files.describe_measurement("python -m bench.overhead")
    rows = overhead.rows(OURS, SHIPPED)
    result |= {"slots": 2, "rungs": [1, 9], "ours": OURS, "shipped": SHIPPED, "rows": rows}
    result_files.write("overhead", result)
    page = scale_page.write().read_text()
    assert "| wall ms a report | 15 | 150 |" in page
    assert "| driver, processor ms a trial | 20 | 200 | 10.0 |" in page
    assert "simulated" not in page


def test_what_tracking_takes_after_the_search_is_counted_and_its_wait_is_not():
    meter = drivers.Meter(lambda: 1)
    meter.begin()
    meter.end()
    spent = time.process_time() + 0.2
    while time.process_time() < spent:
        pass
    found = meter.figures(2, 4)
    assert found["wall_seconds"] < 0.2
    assert found["processor_ms_a_trial"] >= 100
    assert found["processor_ms_a_report"] >= 50


def test_what_is_loaded_after_the_last_trial_is_no_part_of_what_a_trial_takes():
    meter = drivers.Meter(lambda: 1)
    meter._held = [(count, 1_000_000 * count) for count in range(101)] + [(100, 10**9)] * 20
    assert meter._slope(100) == pytest.approx(1000)


@pytest.mark.timeout(120)
def test_both_train_the_same(tmp_path):
    from bench.support.instant_training import METRICS, Trivial
    from spkmodel.worker.results import from_tune

    axes = {"loss": "softmax", "learning_rate": 1e-3, "weight_decay": 0.1,
            "filter_probability": 0.5, "noise_probability": 0.5}  # fmt: skip
    segment = {
        "trial": "t0001",
        "attempt": 2,
        "from_epoch": 0,
        "axes": axes,
        "folder": str(tmp_path),
    }
    ours, shipped = Trivial.__new__(Trivial), Trivial.__new__(Trivial)
    ours.setup({"segment": segment})
    shipped.setup({"axes": axes})
    for epoch in (1, 2):
        one, other = from_tune(ours.step()), shipped.step()
        assert one.metrics == {name: other[name] for name in METRICS}
        assert (one.epoch, other["epoch"], one.attempt) == (epoch, epoch, 2)
