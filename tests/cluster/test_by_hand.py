"""The steps by hand of `cluster/README.md`, as they stand there, on three hosts.

Only what a reader must put in is put in: the head's address, the shared folder, and, so that it
takes a minute, a small space and small budgets.
"""

import json
import re
from pathlib import Path

import pytest

from tests.cluster import ray_hosts
from tests.cluster.programs import wait_for
from tests.cluster.searches import Search

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(420)]

README = (Path(__file__).parents[2] / "cluster" / "README.md").read_text()


def cache_of(host):
    """Of each host its own, as a node's /tmp is; as roomy as the disk."""
    return host.folder / "cache"


def blocks(section):
    """The commands of a section, block by block."""
    text = next(part for part in README.split("\n## ") if part.startswith(section))
    found = re.findall(r"(?:^ {4}.*\n)+", text, re.M)
    return [re.sub(r"^ {4}", "", block, flags=re.M) for block in found]


MAKE_TOKEN, PACK, _ = blocks("Before any of them")
ENVIRONMENT, START_HEAD, JOIN, USE = blocks("Machines, by hand")
DOCTOR, LAUNCH = USE.splitlines()


@pytest.fixture(scope="module")
def by_hand(network, storage):
    """The head, two machines, and how to run steps of the page on them."""
    there = storage.folder / "by-hand"
    there.mkdir()
    head, *workers = [network.host(name) for name in ("hand", "foot", "knee")]
    for host in (head, *workers):
        host.environment["SPKSEARCH_CACHE"] = str(cache_of(host))
    shared = {
        "HEAD_IP": head.address,
        "/shared/runs": str(there / "runs"),
        "/shared/corpora/speech": f"file://{there}/packed",
        "s3://BUCKET/speech": f"file://{there}/packed",
        "data/speech": str(storage.corpus),
    }

    def run(host, *steps, seconds=120):
        text = "\n".join(["set -e", *steps])
        for words, value in shared.items():
            text = text.replace(words, value)
        text = text.replace("launch triplet", f"launch {storage.quick_space} --name by-hand")
        return host.run("bash", "-c", text, directory=there, seconds=seconds)

    for step, host in ((MAKE_TOKEN, head), (PACK.splitlines()[0], head), (START_HEAD, head)):
        done = run(host, *([ENVIRONMENT] if step != MAKE_TOKEN else []), step)
        assert done.returncode == 0, (step, done.stdout, done.stderr)
    for worker in workers:
        joined = run(worker, ENVIRONMENT, JOIN)
        assert joined.returncode == 0, joined.stderr
    yield run, head, workers, there
    for host in (head, *workers):
        host.power_off()


def test_the_token_is_ours_alone_and_in_no_command_line(by_hand):
    _, head, _, there = by_hand
    token = there / "secrets" / "ray" / "auth_token"
    assert token.stat().st_mode & 0o777 == 0o600
    # A secret of Kubernetes is the file as it is, and a header has no line end in it.
    assert re.fullmatch("[0-9a-f]{64}", token.read_text())
    assert head.processes("gcs_server")
    assert not head.processes(token.read_text())


def test_the_doctor_finds_every_machine_in_order(by_hand):
    run, head, workers, _ = by_hand
    looked = run(head, ENVIRONMENT, f"{DOCTOR} --json")
    assert looked.returncode == 0, looked.stdout + looked.stderr
    checks = json.loads(looked.stdout)["checks"]
    assert {head.address, *(worker.address for worker in workers)} <= {
        check["machine"] for check in checks
    }
    assert {check["name"] for check in checks} >= {"guard", "versions", "storage", "disk", "clock"}


def test_a_trial_that_fits_on_no_machine_is_refused_before_anything_starts(by_hand):
    run, head, workers, there = by_hand
    refused = run(head, ENVIRONMENT, f"{LAUNCH} --cpus-per-trial 64")
    assert refused.returncode == 3, refused.stderr
    assert "no machine of the cluster has that" in refused.stderr
    assert all(worker.address in refused.stderr for worker in workers)
    assert not (there / "runs" / "by-hand" / "ledger.jsonl").exists()


def test_machines_that_lack_a_folder_that_trials_read_are_named_before_anything_starts(by_hand):
    run, head, workers, there = by_hand
    folder = "/dev/shm/noise"  # each host has a /dev/shm of its own
    refused = run(head, ENVIRONMENT, f"mkdir {folder}", f"{LAUNCH} --noise {folder}")
    assert refused.returncode == 3, refused.stderr
    assert f"it has no folder {folder}, which trials read" in refused.stderr
    assert all(f"  {worker.address}: " in refused.stderr for worker in workers)
    assert f"  {head.address}: " not in refused.stderr
    assert not (there / "runs" / "by-hand" / "ledger.jsonl").exists()


def test_a_corpus_at_a_uri_is_fetched_once_by_each_machine_that_trains(by_hand, tracking, figure):
    run, head, workers, there = by_hand
    search = Search(there / "runs" / "by-hand")
    flags = f"--trials 6 --max-epochs 2 --finalists 6 --tracking-uri {tracking} --detach"
    launched = run(head, ENVIRONMENT, f"{LAUNCH} {flags}")
    assert launched.returncode == 0, launched.stderr
    maps = {worker.name: {} for worker in workers}

    def watched():
        for worker in workers:
            for pid in worker.processes(ray_hosts.TRAINING):
                mapped = _mapped(pid)
                if mapped:
                    maps[worker.name].setdefault(pid, set()).update(mapped)
        return search.events("finish")

    wait_for(watched, 200, "the end of the search")
    waited = run(head, ENVIRONMENT, "spksearch wait by-hand --timeout 40")
    assert waited.returncode == 0, waited.stderr
    heard = run(head, ENVIRONMENT, "spksearch logs by-hand")
    assert "new best" in heard.stdout, heard.stderr
    search.assert_sound()
    for worker in workers:
        assert len(maps[worker.name]) > 1, "several trials of one machine"
        assert len(set.union(*maps[worker.name].values())) == 1, "one file, mapped by all of them"
        kept = [path for path in cache_of(worker).iterdir() if path.suffix != ".lock"]
        assert len(kept) == 1, kept
        assert not list(cache_of(worker).rglob("test_trials*"))
    assert not list(cache_of(head).rglob("audio.i16")), "it trains nothing"
    figure(
        "corpus at a URI",
        machines=len(workers),
        copies=len(workers),
        trials_of_a_machine=min(map(len, maps.values())),
    )


def test_what_was_started_by_hand_is_ended_by_hand(by_hand):
    run, head, workers, _ = by_hand
    for host in (*workers, head):
        stopped = run(host, ENVIRONMENT, "ray stop")
        assert stopped.returncode == 0, stopped.stderr
        assert not host.processes("raylet/raylet")


def _mapped(pid):
    """Stores that a process has mapped, as (device, inode)."""
    try:
        lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    except OSError:
        return set()
    return {tuple(line.split()[3:5]) for line in lines if line.endswith("audio.i16")}
