"""Schedules come from their seed, results are kept round by round, the page says what they say."""

import http.client
import http.server
import json
import threading
import time

import pytest

from bench.chaos import page, rounds, schedule, services
from bench.chaos.faults import catalogue
from bench.chaos.schedule import Round


def test_a_schedule_is_its_seeds_and_has_as_many_rounds_as_asked_for():
    one = schedule.draw_rounds(10, 1)
    assert one == schedule.draw_rounds(10, 1)
    assert one != schedule.draw_rounds(10, 2)
    assert sum(each.fault == "driver_kill" for each in one) == 10
    assert {each.fault for each in one} == set(catalogue.FAULTS)
    assert len(schedule.draw_rounds(3, 1, ["clock", "sigint"])) == 6
    assert len(set(one)) == len(one)


def test_the_chance_of_a_round_does_not_depend_on_the_rounds_before():
    draws = {
        (fault, number): schedule.generator_for(1, Round(fault, number)).integers(1 << 60)
        for fault in ("driver_kill", "clock")
        for number in range(3)
    }
    assert len(set(draws.values())) == 6
    assert schedule.generator_for(1, Round("clock", 2)).integers(1 << 60) == draws["clock", 2]


class NoServers:
    """Stands for `SharedServers` where no round is really played."""

    def __init__(self, folder, outage_seconds):
        del folder, outage_seconds

    def __enter__(self):
        return self

    def __exit__(self, *error):
        del error


def test_rounds_that_are_there_are_not_played_again(tmp_path, monkeypatch):
    played = []

    def play(servers, this, seed, keep):
        del servers, keep
        played.append(this)
        return record(this.fault, this.number, seed=seed)

    monkeypatch.setattr(rounds, "play", play)
    monkeypatch.setattr(rounds, "SharedServers", NoServers)
    path = rounds.results_path(tmp_path, 7)
    wanted = schedule.draw_rounds(3, 7, ["clock"])
    rounds.run(path, wanted[:2], 7, 1.0, lambda _: None)
    with path.open("a") as file:
        file.write('{"fault": "clock", "rou')
    assert len(rounds.results(path)) == 2
    found = rounds.run(path, wanted, 7, 1.0, lambda _: None)
    assert played == wanted
    assert [each["round"] for each in found] == [each.number for each in wanted]
    assert len(rounds.results(path)) == 3, "what followed the torn line can be read"
    with path.open("a") as file:
        file.write(json.dumps(record("clock", wanted[0].number, seed=7, recovered=False)) + "\n")
    rounds.run(path, wanted, 7, 1.0, lambda _: None)
    assert len(played) == 3
    again = rounds.run(path, wanted, 7, 1.0, lambda _: None, again=True)
    assert played[3:] == wanted[:1]
    assert all(each["recovered"] for each in again)
    assert len(rounds.results(path)) == 3


def record(fault, number, **changes):
    return {
        "fault": fault,
        "round": number,
        "seed": 1,
        "date": f"2026-01-0{number + 1}T00:00:00+00:00",
        "cores": 2,
        "load": 1.5,
        "versions": {"ray": "2.60.0"},
        "recovered": True,
        "violations": [],
        "seconds_to_resume": 2.0 * number + 1,
        "epochs_redone": number,
        "points_lost": 0,
        "points_doubled": 0,
        "notes": {},
    } | changes


def test_the_page_says_what_the_results_say_and_nothing_else(tmp_path):
    lines = [record("driver_kill", number) for number in range(3)]
    slowing = {"mean": 0.0042, "low": -0.001, "high": 0.0104, "median": 0.003,
               "epoch_seconds": 1.05, "catching_up": 0.02,
               "epochs": {"before": 100, "away": 300, "after": 90}}  # fmt: skip
    lines += [record("mlflow_slow", 0, slowing=slowing, notes={"outage_seconds": 600.0})]
    lines += [record("trial_kill", 0, notes={"struck": False})]
    lines += [record("clock", 0, recovered=False, violations=["budget_is_kept: t0009 is beyond"])]
    lines += [{"fault": "disk_full", "round": 0, "skipped": "wants root"}]
    common = record("disk_full", 0)
    lines[-1] |= {key: common[key] for key in ("seed", "date", "cores", "load", "versions")}
    text = "".join(json.dumps(each) + "\n" for each in lines)
    (tmp_path / "chaos-1.jsonl").write_text(text)
    found = page.page(tmp_path)
    assert "| SIGKILL of the driver at a random moment | 3 | 3 | 3.0 / 5.0 | 2 | 0 / 0 |" in found
    assert "for 600 s | 1 | 1 | 1.0 / 1.0 | 0 | 0 / 0 |" in found
    assert (
        "for 600 s | 1.5 | 190, 300 | 1.050 | **+0.42%** (-0.10% to +1.04%) | +0.30% | +2.00% |"
        in found
    )
    assert "| wall clock moved by an hour | 1 | 0 |" in found
    assert "- clock 0, seed 1: budget_is_kept: t0009 is beyond" in found
    assert "Not played: disk_full: wants root." in found
    assert "| SIGKILL of a trial" not in found, "what struck nothing says nothing"
    assert "Ctrl-C" not in found, "what was not played has no line"
    assert "Nothing measured yet" in found
    claim = {"figures": {"seconds": 4}, "measured": "2026-01-01", "cores": 2, "ray": "2.60.0"}
    (tmp_path / "cluster.json").write_text(json.dumps({"a raylet killed": claim}))
    assert "| a raylet killed | seconds 4 | 2026-01-01, ray 2.60.0 |" in page.page(tmp_path)


@pytest.mark.parametrize(("share", "value"), [(0.5, 2.0), (0.95, 4.0), (0.0, 1.0), (0.25, 1.0)])
def test_a_quantile_is_a_value_that_was_measured(share, value):
    assert page.quantile([4.0, 1.0, 3.0, 2.0], share) == value


class Echo(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        del words


@pytest.fixture
def proxied():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    proxy = services.Proxy(server.server_port)
    yield proxy
    proxy.close()
    server.shutdown()
    server.server_close()


def asked(proxy, body=b"x" * 200_000):
    connection = http.client.HTTPConnection(proxy.uri.removeprefix("http://"), timeout=5)
    try:
        connection.request("POST", "/", body)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_a_proxy_passes_on_waits_fails_or_is_away(proxied, monkeypatch):
    monkeypatch.setattr(services, "SLOW_SECONDS", 0.3)
    assert asked(proxied) == (200, b"x" * 200_000)
    assert proxied.calls == 0
    proxied.set_behaviour = "slow"
    began = time.monotonic()
    assert asked(proxied)[0] == 200
    assert time.monotonic() - began >= 0.3
    proxied.set_behaviour = "failing"
    assert asked(proxied)[0] == 500
    proxied.set_behaviour = "away"
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        asked(proxied)
    assert proxied.calls == 3
    proxied.set_behaviour = "fine"
    assert asked(proxied, b"again") == (200, b"again")
