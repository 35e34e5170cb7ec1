"""Credentials leave an address before it is stored, logged or shown."""

import re

_USER = re.compile(r"(?P<scheme>\b[a-zA-Z][a-zA-Z0-9+.-]*://)[^\s/@'\"]*(?:/[^\s/@'\"]*)?@")
_SECRET = re.compile(
    r"(?P<key>[?&;]?\b[\w.-]*(?:password|passwd|pwd|token|secret|credential|sig|signature|api_?key"
    r"|access_?key)[\w.-]*=)[^\s&;'\"]+",
    re.IGNORECASE,
)
HIDDEN = "***"


def redact(text: str) -> str:
    """The text with user names, passwords and secret query values of every URI in it hidden.

    Works on a lone URI and on a message that quotes one. What was hidden reads `***`, so that a
    reader sees that something has to be filled in.
    """
    return _SECRET.sub(rf"\g<key>{HIDDEN}", _USER.sub(rf"\g<scheme>{HIDDEN}@", text))


def without_user(uri: str) -> str:
    """The address as a browser takes it: no user, no password."""
    return redact(uri).replace(f"{HIDDEN}@", "")
