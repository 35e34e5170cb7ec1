"""Hide the credentials in an address before it is stored, logged or shown."""

import re

# A password may contain slashes, so the part before the last @ may span one.
_USER = re.compile(r"(?P<scheme>\b[a-zA-Z][a-zA-Z0-9+.-]*://)[^\s/@'\"]*(?:/[^\s/@'\"]*)?@")
_SECRET = re.compile(
    r"(?P<key>[?&;]?\b[\w.-]*(?:password|passwd|pwd|token|secret|credential|sig|signature|api_?key"
    r"|access_?key)[\w.-]*=)[^\s&;'\"]+",
    re.IGNORECASE,
)
HIDDEN = "***"


def redact(text: str) -> str:
    """Return a text with user names, passwords and secret query values of its URIs hidden.

    The text is a URI, or a message that quotes some. A hidden part reads `***`, so that a reader
    sees that something has to be filled in.
    """
    return _SECRET.sub(rf"\g<key>{HIDDEN}", _USER.sub(rf"\g<scheme>{HIDDEN}@", text))


def strip_credentials(uri: str) -> str:
    """Return an address without user and password, as a browser takes it."""
    return redact(uri).replace(f"{HIDDEN}@", "")
