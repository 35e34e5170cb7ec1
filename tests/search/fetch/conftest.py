"""A web server for a test."""

import pytest
import shelf as shelves


@pytest.fixture
def shelf():
    with shelves.served() as there:
        yield there
