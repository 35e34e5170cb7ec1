"""What the cluster tests started is gone when they are done."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cluster import hosts

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(120)]

TESTS = """
import sys, time
from pathlib import Path
import hosts
network = hosts.Network(Path(sys.argv[1]), Path.cwd(), {})
network.host("orphan").start("sleep", "1000", log="sleep").pid
print(network.mark, flush=True)
time.sleep(1000)
"""


def test_hosts_end_with_the_tests_even_if_those_are_killed(network, tmp_path):
    folder = Path(__file__).parent
    killed = subprocess.Popen(
        [sys.executable, "-c", TESTS, str(tmp_path)], cwd=folder, stdout=subprocess.PIPE, text=True
    )
    mark = killed.stdout.readline().strip()
    killed.kill()
    killed.wait()
    killed.stdout.close()
    environment = f"{hosts.MARK}={mark}".encode()

    def there():
        found = []
        for path in Path("/proc").glob("[0-9]*/environ"):
            try:
                found += [path.parent.name] * (environment in path.read_bytes())
            except OSError:
                continue
        return found

    assert mark
    assert mark != network.mark
    end = time.monotonic() + 10
    while there():
        assert time.monotonic() < end, there()
        time.sleep(0.1)


def test_no_process_namespace_link_or_mount_outlives_its_network(network):
    host = network.host("last")
    host.start("sleep", "1000", log="sleep")
    assert len(network.left()) >= 2
    assert not any(line.startswith(("link", "mount")) for line in network.left())
    network.close()
    time.sleep(0.5)
    assert network.left() == []
    assert not any(each.on for each in network.hosts)
