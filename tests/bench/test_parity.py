"""Published networks weigh here what they weigh where they were published."""

import dataclasses

import pytest

from bench import parity
from bench.support import published_networks
from spkmodel.config import ResNetSE34L


@pytest.mark.parametrize("row", published_networks.ROWS, ids=lambda row: row.name)
def test_a_published_network_has_its_published_weights(row):
    assert row.encoder_weights is not None or row.total is not None
    assert row.mismatches() == []


def test_every_row_has_a_name_of_its_own():
    assert len({row.name for row in published_networks.ROWS}) == len(published_networks.ROWS)


def test_the_front_end_gives_the_golden_values_of_the_lab(capsys):
    assert parity.check_features() == []
    assert capsys.readouterr().out.count("mels") == 3


def test_a_mismatch_is_told_and_exits_1(monkeypatch, capsys):
    wrong = published_networks.Row("34L with one weight too many", ResNetSE34L(), 1_437_079)
    monkeypatch.setattr(published_networks, "ROWS", (wrong,))
    with pytest.raises(SystemExit) as ended:
        parity.main()
    assert ended.value.code == 1
    told = "34L with one weight too many: encoder has 1,437,078 weights, not 1,437,079"
    assert f"MISMATCH  {told}" in capsys.readouterr().out


def test_a_mismatch_of_the_total_is_one_even_where_the_encoder_agrees():
    row = next(row for row in published_networks.LAB if row.total is not None)
    other = dataclasses.replace(row, total=row.total + 1)
    assert other.mismatches() == [f"{row.name}: total has 1,437,080 weights, not 1,437,081"]


def test_golden_values_that_are_missed_are_told(monkeypatch):
    monkeypatch.setattr(published_networks, "MEL_SUMS", {40: 1_068_481.0})
    monkeypatch.setattr(published_networks, "EMPHASISED", (-0.128570,))
    of_mels, of_samples = parity.check_features()
    assert of_mels.startswith("40 mels sum to 1,068,471.")
    assert of_samples == "sample 0 after pre-emphasis is -0.128573, not -0.128570"
