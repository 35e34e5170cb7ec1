"""A web server for a test."""

import pytest

from tests.support import shelf as shelves


@pytest.fixture
def shelf():
    with shelves.served() as there:
        yield there
