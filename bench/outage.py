"""A search through a minute without its MLflow server: is it slowed, is anything lost?

python -m bench.outage [SECONDS]

Launches the quickstart space on the built-in corpus, kills the MLflow server with SIGKILL, keeps
it away, brings it back, and afterwards compares every point of the ledger with MLflow.
"""

import os
import sys
import tempfile
import threading
import time
from pathlib import Path

from search import launch, mlflow_server
from search.home import ledger_path
from search.ledger import Ledger
from search.live import Lines
from search.settings import LaunchRequest
from spkmodel import demo_corpus

NAME = "outage"


def main() -> None:
    away = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SPKSEARCH_HOME"] = folder
        corpus = demo_corpus.make(Path(folder) / "corpus")
        server = mlflow_server.start()
        server.wait_ready()
        os.environ["MLFLOW_TRACKING_URI"] = server.uri
        outage = threading.Thread(target=_outage, args=(server, away), daemon=True)
        outage.start()
        request = LaunchRequest(
            space="quickstart", corpus=corpus, name=NAME, trials=48, max_epochs=27
        )
        launch.launch(request, Lines())
        outage.join()
        _compare(server.uri)
        server.stop()


def _outage(server: mlflow_server.Server, seconds: float) -> None:
    while not _reports():
        time.sleep(0.5)
    time.sleep(5)
    before = _reports()
    server.kill()
    time.sleep(seconds)
    during = _reports() - before
    server.revive()
    print(f"server away for {seconds:.0f} s; epochs reported meanwhile: {during}", flush=True)


def _reports() -> int:
    trials = Ledger.open(ledger_path(NAME)).trials().values()
    return sum(len(trial.reports) for trial in trials)


def _compare(uri: str) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    wrong = points = 0
    runs = client.search_runs(
        [experiment.experiment_id for experiment in client.search_experiments()],
        f"tags.kind = 'trial' and tags.search = '{NAME}'",
    )
    by_trial = {run.data.tags["trial"]: run.info.run_id for run in runs}
    trials = Ledger.open(ledger_path(NAME)).trials()
    for trial in trials.values():
        history = client.get_metric_history(by_trial[trial.trial], "dev_eer")
        sent = sorted((point.step, point.value) for point in history)
        wanted = [(e, trial.reports[e].metrics["dev_eer"]) for e in sorted(trial.reports)]
        wrong += sent != wanted
        points += len(wanted)
    print(
        f"{len(runs)} runs for {len(trials)} trials; {points} epochs in the ledger; "
        f"trials whose MLflow history differs from the ledger: {wrong}"
    )


if __name__ == "__main__":
    main()
