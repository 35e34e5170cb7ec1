"""A file in the place of `driver.json` that no driver wrote."""

import os

from search.core import lease


def test_a_pipe_in_place_of_the_drivers_file_is_an_unknown_driver_without_heartbeat(tmp_path):
    os.mkfifo(tmp_path / lease.DRIVER_FILE)

    assert lease.read_owner(tmp_path / lease.DRIVER_FILE) == lease.UNKNOWN_DRIVER
    assert lease.read_heartbeat(tmp_path) == b""


def test_a_drivers_file_beyond_its_limit_is_an_unknown_driver(tmp_path):
    (tmp_path / lease.DRIVER_FILE).write_bytes(b" " * (1 << 17))

    assert lease.read_owner(tmp_path / lease.DRIVER_FILE) == lease.UNKNOWN_DRIVER
