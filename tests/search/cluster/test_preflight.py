"""What a cluster asks for, seen from outside: a head that is played, and one that is real."""

import os
from pathlib import Path

import pytest

from search.cluster import auth_token, connection, preflight
from search.core.errors import EnvironmentSetupError, UsageError
from search.core.paths import search_folder
from tests.support import fake_ray_head
from tests.support.fake_ray_head import RAY_VERSION

SECRET = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def head():
    """Starts a head; its address."""
    with fake_ray_head.head_starter() as start:
        yield start


@pytest.fixture(autouse=True)
def _nobody(tmp_path, monkeypatch):
    """A user without a token; whatever mode is set is set back."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_USE_TLS"):
        monkeypatch.delenv(name, raising=False)
    before = os.environ.get("RAY_AUTH_MODE")
    yield
    auth_token.set_auth_mode(before or "disabled")


def token_file(tmp_path, text=SECRET, mode=0o600):
    path = tmp_path / "token"
    path.write_text(text + "\n")
    path.chmod(mode)
    return path


def test_an_open_cluster_that_others_can_reach_is_refused_unless_one_insists(head):
    address = head(machines=("10.0.0.1", "10.0.0.2"))
    with pytest.raises(EnvironmentSetupError, match="asks for no token") as refusal:
        preflight.prepare_to_join(address)
    assert "10.0.0.1, 10.0.0.2" in str(refusal.value)
    assert "--insecure" in str(refusal.value)
    found = preflight.prepare_to_join(address, insecure=True)
    assert (found.auth_mode, found.reachable, found.machines) == (
        "open",
        True,
        ("10.0.0.1", "10.0.0.2"),
    )
    assert os.environ["RAY_AUTH_MODE"] == "disabled"


def test_an_open_cluster_within_this_machine_will_do(head):
    found = preflight.prepare_to_join(head())
    assert (found.auth_mode, found.reachable) == ("open", False)


def test_a_token_is_shown_only_where_one_is_asked_for(head, tmp_path, monkeypatch):
    address = head(machines=("10.0.0.1",), token=SECRET)
    with pytest.raises(EnvironmentSetupError, match="wants a token, and there is none here"):
        preflight.prepare_to_join(address)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    with pytest.raises(EnvironmentSetupError, match="no file"):
        preflight.prepare_to_join(address)
    token_file(tmp_path, "f" * 32)
    with pytest.raises(EnvironmentSetupError, match="is not that of the Ray cluster") as refusal:
        preflight.prepare_to_join(address)
    assert "f" * 32 not in str(refusal.value)
    token_file(tmp_path)
    assert preflight.prepare_to_join(address).auth_mode == "token"
    assert os.environ["RAY_AUTH_MODE"] == "token"


def test_a_token_that_others_can_read_is_refused(head, tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(token_file(tmp_path, mode=0o644)))
    with pytest.raises(EnvironmentSetupError, match="chmod 600"):
        preflight.prepare_to_join(head(token=SECRET))


def test_rays_own_place_of_the_token_is_looked_at_last(tmp_path, monkeypatch):
    place = tmp_path / ".ray" / "auth_token"
    place.parent.mkdir()
    place.write_text("a" * 32)
    place.chmod(0o600)
    assert auth_token.find_token() == auth_token.Token("a" * 32, str(place))
    monkeypatch.setenv("RAY_AUTH_TOKEN", SECRET)
    assert auth_token.find_token() == auth_token.Token(SECRET, "RAY_AUTH_TOKEN")


def test_another_ray_is_named_with_ours(head):
    with pytest.raises(EnvironmentSetupError, match=f"runs Ray 2.1.0, here is {RAY_VERSION}"):
        preflight.prepare_to_join(head(ray_version="2.1.0"))


def test_where_nothing_answers_it_is_said_at_once():
    with pytest.raises(EnvironmentSetupError, match=r"no Ray head answers at 127\.0\.0\.1:1"):
        preflight.prepare_to_join("127.0.0.1:1")


@pytest.mark.parametrize("address", ["ray://10.0.0.1:10001", "nonsense", "10.0.0.1", "x:y"])
def test_what_is_no_address_is_a_usage_problem(address):
    with pytest.raises(UsageError, match="--address takes HOST:PORT"):
        preflight.prepare_to_join(address)


def test_tls_wants_its_files(monkeypatch):
    monkeypatch.setenv("RAY_USE_TLS", "1")
    with pytest.raises(EnvironmentSetupError, match="RAY_TLS_SERVER_CERT names no file"):
        preflight.prepare_to_join("127.0.0.1:1")


def test_the_token_of_a_head_of_ours_is_for_us_alone_and_stays(tmp_path):
    path = tmp_path / "home" / "ray-token"
    connection._write_token(path)
    token = path.read_text()
    assert (path.stat().st_mode & 0o777, len(token)) == (0o600, 64)
    connection._write_token(path)
    assert path.read_text() == token
    path.chmod(0o640)
    with pytest.raises(EnvironmentSetupError, match="chmod 600"):
        connection._write_token(path)
    assert [each.name for each in path.parent.iterdir()] == ["ray-token"]


def test_a_token_that_was_named_for_a_head_of_ours_must_be_ours_alone_too(tmp_path, monkeypatch):
    path = token_file(tmp_path, mode=0o644)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(path))
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    with pytest.raises(EnvironmentSetupError, match="chmod 600"):
        connection._provide_token()
    path.chmod(0o600)
    connection._provide_token()
    assert os.environ["RAY_AUTH_MODE"] == "token"


def test_where_only_the_mode_is_set_a_head_of_ours_has_our_token_and_not_one_of_rays(
    spksearch_home, monkeypatch
):
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.delenv("RAY_AUTH_TOKEN_PATH", raising=False)
    connection._provide_token()
    path = Path(os.environ.pop("RAY_AUTH_TOKEN_PATH"))
    assert path == spksearch_home / "ray-token"
    assert path.stat().st_mode & 0o777 == 0o600
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    connection._provide_token()
    assert "RAY_AUTH_TOKEN_PATH" not in os.environ


@pytest.mark.parametrize("name", ["../other", "a/b", ".hidden", "", "a b", "$(id)", "x" * 65])
def test_a_name_that_could_leave_its_folder_or_confuse_a_shell_is_refused(name):
    with pytest.raises(UsageError, match="a search's name is 1 to 64"):
        search_folder(name)


@pytest.mark.ray
def test_a_real_head_without_a_token_is_seen_as_open(local_ray):
    found = preflight.inspect_auth(local_ray)
    assert (found.auth_mode, found.machines) == ("open", ("127.0.0.1",))
    # As the kernel writes 127.0.0.1 there: alone, and within IPv6.
    assert listening_on(local_ray) in ({"0100007F"}, {"0000000000000000FFFF00000100007F"})


def listening_on(address):
    """Where this machine listens at the port of an address."""
    port = int(address.rpartition(":")[2])
    lines = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
    ]
    places = [place.split(":") for _, place, _, state, *_ in lines if state == "0A"]
    return {host for host, number in places if int(number, 16) == port}
