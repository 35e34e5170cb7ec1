"""A web server for a test."""

import pytest

from tests.support import fake_file_server as shelves


@pytest.fixture
def shelf():
    with shelves.running_server() as there:
        yield there
