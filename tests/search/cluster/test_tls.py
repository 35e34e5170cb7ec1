"""The certificates of cluster/tls.sh, on a head with TLS and a token."""

import os
import shutil
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "cluster" / "tls.sh"

DRIVER = """
import sys
from search.cluster.connection import connect
with connect(sys.argv[1]) as joined:
    import ray
    print(int(joined.cpus), ray.get(ray.remote(lambda: 6 * 7).remote(), timeout=60))
"""

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")


def make(folder, *addresses):
    command = ["bash", str(SCRIPT), str(folder), *addresses]
    return subprocess.run(command, check=False, capture_output=True, text=True)


def test_each_machine_gets_a_certificate_of_the_authority_and_keys_are_private(tmp_path):
    folder = tmp_path / "tls"
    assert make(folder, "10.0.0.1", "worker.example.org").returncode == 0
    for name in ("10.0.0.1", "worker.example.org"):
        command = ["openssl", "verify", "-CAfile", folder / "ca.crt", folder / f"{name}.crt"]
        subprocess.run(command, check=True, capture_output=True)
        assert stat.S_IMODE((folder / f"{name}.key").stat().st_mode) == 0o600
    command = ["openssl", "x509", "-in", folder / "10.0.0.1.crt", "-noout", "-text"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "IP Address:10.0.0.1, DNS:localhost, IP Address:127.0.0.1" in text
    before = (folder / "ca.crt").read_bytes(), (folder / "10.0.0.1.crt").read_bytes()
    assert make(folder, "10.0.0.1", "10.0.0.2").returncode == 0
    assert ((folder / "ca.crt").read_bytes(), (folder / "10.0.0.1.crt").read_bytes()) == before
    assert (folder / "10.0.0.2.crt").is_file()
    refused = make(folder, "$(id)")
    assert (refused.returncode, "no address" in refused.stderr) == (2, True)


@pytest.fixture
def capture_error(tmp_path):
    """What a machine without TLS sets, and one with."""
    token = tmp_path / "token"
    token.touch(0o600)
    token.write_text("0123456789abcdef" * 3)
    plain = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
    plain |= {
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        "PYTHONPATH": str(SCRIPT.parents[1]),
        "HOME": str(tmp_path),
    }
    return plain, plain | certificates(tmp_path / "tls")


def certificates(folder):
    assert make(folder, "127.0.0.1").returncode == 0
    return {
        "RAY_USE_TLS": "1",
        "RAY_TLS_CA_CERT": str(folder / "ca.crt"),
        "RAY_TLS_SERVER_CERT": str(folder / "127.0.0.1.crt"),
        "RAY_TLS_SERVER_KEY": str(folder / "127.0.0.1.key"),
    }


@pytest.fixture
def port(capture_error):
    """Of a head with TLS and a token."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = Path(f"/tmp/spksearch-tls-{os.getpid()}")  # a socket's path must be short
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block"]
    command += [f"--port={port}", "--node-ip-address=127.0.0.1", "--num-cpus=1"]
    command += ["--include-dashboard=false", "--object-store-memory=80000000"]
    command += [f"--temp-dir={folder}"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    head = subprocess.Popen(command, env=capture_error[1], **quiet)
    yield port
    head.terminate()
    head.wait(30)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.ray
@pytest.mark.long
@pytest.mark.timeout(240)
def test_a_head_with_tls_and_a_token_is_joined_and_without_certificates_it_is_not(
    tmp_path, capture_error, port
):
    plain, tls = capture_error
    deadline = time.monotonic() + 90
    joined = join(port, tls)
    while joined.returncode and time.monotonic() < deadline:
        time.sleep(1)
        joined = join(port, tls)
    assert joined.stdout.split() == ["1", "42"], joined.stderr
    refused = join(port, plain)
    assert refused.returncode == 1
    assert "where it uses TLS, set RAY_USE_TLS=1" in refused.stderr
    other = certificates(tmp_path / "other") | {"RAY_TLS_CA_CERT": tls["RAY_TLS_CA_CERT"]}
    assert "check the address and the certificates" in join(port, tls | other).stderr


def join(port, environment):
    command = [sys.executable, "-c", DRIVER, f"127.0.0.1:{port}"]
    return subprocess.run(
        command, check=False, env=environment, capture_output=True, text=True, timeout=120
    )
