"""Where published figures are written."""

from pathlib import Path

from bench.support import result_files


def test_results_are_written_where_the_published_ones_are():
    assert Path(__file__).parents[2] / "bench" / "results" == result_files.FOLDER
    assert (result_files.FOLDER / "scale.json").is_file()
