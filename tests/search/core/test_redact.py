"""No credential survives."""

import pytest

from search.core.redact import redact, strip_credentials


@pytest.mark.parametrize(
    ("secret", "redacted"),
    [
        ("https://me:s3cret@mlflow.org:5000/x", "https://***@mlflow.org:5000/x"),
        ("https://s3cret@mlflow.org", "https://***@mlflow.org"),
        ("postgresql+psycopg2://u:s3cret@db/mlflow", "postgresql+psycopg2://***@db/mlflow"),
        ("https://h/?token=s3cret&a=1", "https://h/?token=***&a=1"),
        ("failed: postgresql://u:s3cret@db said no", "failed: postgresql://***@db said no"),
        ("https://u:s3/cret@h", "https://***@h"),
    ],
)
def test_user_password_and_secret_query_values_are_hidden(secret, redacted):
    assert redact(secret) == redacted
    assert "s3cret" not in redact(secret)


@pytest.mark.parametrize(
    "plain", ["", "http://127.0.0.1:5000", "sqlite:////home/me/mlflow.db", "https://h/a/b@c"]
)
def test_an_address_without_credentials_stays_as_it_is(plain):
    assert redact(plain) == plain


def test_a_browsers_address_has_neither_user_nor_its_mask():
    assert strip_credentials("https://me:s3cret@mlflow.org/base") == "https://mlflow.org/base"
