"""A web server for a test."""

import pytest

from tests.support import fake_file_server


@pytest.fixture
def file_server():
    with fake_file_server.running_server() as server:
        yield server
