"""Which store the page is opened on, and what is said."""

import pytest

from search.core.errors import EnvironmentSetupError, NotFound
from search.core.paths import ledger_path
from search.tracking import ui


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("SPKSEARCH_HOME", str(tmp_path))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path


def test_an_unknown_search_is_not_found_before_anything_starts(home):
    with pytest.raises(NotFound, match="nowhere"):
        ui.serve("nowhere", say=[].append)
    assert not list(home.iterdir())


@pytest.mark.usefixtures("home")
def test_the_environment_beats_the_ledger_and_the_ledger_the_local_store(
    ledger_on_disk, monkeypatch
):
    search = ledger_on_disk("where")
    search.begin()
    assert ui.tracking_uri(ledger_path("where")) == ""
    search.begin(tracking_uri="https://mlflow.example")
    assert ui.tracking_uri(ledger_path("where")) == "https://mlflow.example"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://other.example")
    assert ui.tracking_uri(ledger_path("where")) == "https://other.example"


@pytest.mark.usefixtures("home")
def test_credentials_that_no_ledger_holds_are_asked_for(ledger_on_disk):
    ledger_on_disk("guarded").begin(tracking_uri="https://***@mlflow.example")
    with pytest.raises(EnvironmentSetupError, match="set MLFLOW_TRACKING_URI"):
        ui.serve("guarded", say=[].append)


@pytest.mark.slow
def test_a_server_elsewhere_is_caught_up_and_its_address_said(
    home, ledger_on_disk, mlflow_server, monkeypatch
):
    search = ledger_on_disk("elsewhere")
    search.begin()
    search.trial(1, learning_rate=1e-3)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server.uri)
    said = []
    ui.serve("elsewhere", say=said.append)
    assert len(said) == 1
    assert said[0].startswith(f"{mlflow_server.uri}/#/experiments/")
    assert said[0].endswith("/runs?viewStateShareKey=spksearch-elsewhere")
    said.clear()
    ui.serve(None, say=said.append)
    assert said == [mlflow_server.uri]
    assert not (home / "mlflow.db").exists()


@pytest.mark.slow
def test_the_local_page_stays_until_ctrl_c_and_leaves_a_server_that_others_started(
    mlflow_server, monkeypatch
):
    monkeypatch.setenv("SPKSEARCH_HOME", str(mlflow_server.folder))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    kept = []

    def ctrl_c(server) -> None:
        kept.append(server.uri)
        raise KeyboardInterrupt

    monkeypatch.setattr("search.tracking.ui._keep_up", ctrl_c)
    said = []
    ui.serve(None, say=said.append)
    assert kept == [mlflow_server.uri]
    assert mlflow_server.uri in said
    assert said[-1] == "ended"
    assert mlflow_server.alive()
