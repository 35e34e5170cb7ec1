"""One report of a recorded search, for all tests that read it."""

import pytest

from bench.support.recorded_search import Recipe, record_search
from search.reports import search_report


@pytest.fixture(scope="session")
def recorded_report(tmp_path_factory):
    """What was written of a search of 30 trials, PNGs included."""
    folder = tmp_path_factory.mktemp("recorded")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPKSEARCH_HOME", str(folder))
        record_search(Recipe(trials=30, epochs=3, seed=2), folder)
        return search_report.write_files("recorded", folder / "out" / "report.html", pngs=True)
