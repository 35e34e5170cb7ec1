"""No credential survives."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.core.redact import redact, strip_credentials


@pytest.mark.parametrize(
    ("secret", "redacted"),
    [
        ("https://me:s3cret@mlflow.org:5000/x", "https://***@mlflow.org:5000/x"),
        ("https://s3cret@mlflow.org", "https://***@mlflow.org"),
        ("postgresql+psycopg2://u:s3cret@db/mlflow", "postgresql+psycopg2://***@db/mlflow"),
        ("https://h/?token=s3cret&a=1", "https://h/?token=***&a=***"),
        ("failed: postgresql://u:s3cret@db said no", "failed: postgresql://***@db said no"),
        ("https://u:s3/cret@h", "https://***@h"),
        ("http://joe:s3cret@k@host/x?key=s3cret", "http://***@host/x?key=***"),
        ("http://u:s3cret/a@h/b", "http://***@h/b"),
        ("http://u:s3cret'q@h", "http://***@h"),
        ("http://u:s3cret?q@h/b", "http://***@h/b"),
        (
            "https://h/?account_key=s3cret&auth=s3cret&pass=s3cret&x=s3cret;y=s3cret",
            "https://h/?account_key=***&auth=***&pass=***&x=***;y=***",
        ),
        ("https://h/?s3cret", "https://h/?***"),
        ("https://h/#access_token=s3cret", "https://h/#access_token=***"),
        ("s3://a:s3cret@b,s3://c:s3cret@d", "s3://***@b,s3://***@d"),
        ("see 'http://h/?k=s3cret' now", "see 'http://h/?k=***' now"),
        ("abfs://u:s3cret@account/x", "abfs://***@account/x"),
        ("said password=s3cret and auth=s3cret", "said password=*** and auth=***"),
    ],
)
def test_user_password_and_secret_query_values_are_hidden(secret, redacted):
    assert redact(secret) == redacted
    assert "s3cret" not in redact(secret)


@pytest.mark.parametrize(
    "plain",
    [
        "",
        "http://127.0.0.1:5000",
        "sqlite:////home/me/mlflow.db",
        "https://h/a/b@c",
        "s3://bucket/a@b",
        "abfs://container@account.dfs.core.windows.net/x",
        "http://[::1]:5000/a@b",
        "s3://bucket/x?region=eu&endpoint_override=h",
        "design=3",
    ],
)
def test_an_address_without_credentials_stays_as_it_is(plain):
    assert redact(plain) == plain


def test_a_browsers_address_has_neither_user_nor_its_mask():
    assert strip_credentials("https://me:s3cret@mlflow.org/base") == "https://mlflow.org/base"


_WORDS = st.text("abcXYZ019-._~", min_size=1, max_size=8)
_SECRETS = st.text("abcXYZ019-._~@/':!$()*+,=%", max_size=12).map(lambda text: f"Q{text}Q")


@settings(max_examples=300, deadline=None)
@given(
    scheme=st.sampled_from(["http", "https", "postgresql+psycopg2", "s3", "abfs"]),
    user=_WORDS,
    password=_SECRETS,
    host=_WORDS.map(lambda text: f"host{text}"),
    path=_WORDS,
    key=_WORDS.map(lambda text: f"k{text}"),
    value=_SECRETS,
    before=st.sampled_from(["", "failed: ", "a,", "(", "'"]),
    after=st.sampled_from(["", " said no", "\nnext"]),
)
def test_no_secret_survives_and_what_is_none_stays(
    scheme, user, password, host, path, key, value, before, after
):
    text = f"{before}{scheme}://{user}:{password}@{host}/{path}?{key}={value}&region=eu{after}"
    hidden = redact(text)
    assert hidden == f"{before}{scheme}://***@{host}/{path}?{key}=***&region=eu{after}"
    assert redact(hidden) == hidden
