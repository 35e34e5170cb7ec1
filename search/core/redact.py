"""Hide the credentials in an address before it is stored, logged or shown."""

import re
from urllib.parse import unquote

HIDDEN = "***"

_START = re.compile(r"(?<![\w+.-])[a-zA-Z][a-zA-Z0-9+.-]*://")
_END = re.compile(r"[\s<>\"]|[,;|](?=[a-zA-Z][a-zA-Z0-9+.-]*://)")
"""What ends an address within a longer text; any other sign may be part of a password."""

_CLOSING = {"'": "'", "(": ")", "[": "]", "`": "`"}
"""By the sign before an address: the one behind it, which is not part of it."""

_PUBLIC_KEYS = frozenset(
    {
        "charset", "connect_timeout", "driver", "endpoint_override", "format", "mode", "page",
        "path", "pool_size", "region", "scheme", "sslmode", "timeout", "version",
    }
)  # fmt: skip
"""Keys of a query whose values are shown; any other value may be a credential."""

_CONTAINER_SCHEMES = frozenset({"abfs", "abfss", "wasb", "wasbs"})
"""Of Azure's storage, where no user but a container stands before the @."""

_SECRET = re.compile(
    r"(?P<key>\b(?:[\w.-]*(?:password|passwd|pwd|token|secret|credential|signature|api_?key"
    r"|access_?key|account_?key)[\w.-]*|sig|auth|pass)=)[^\s&;'\"]+",
    re.IGNORECASE,
)


def redact(text: str) -> str:
    """Return a text with user names, passwords and query values of its URIs hidden.

    The text is a URI, or a message that quotes some. A hidden part reads `***`, so that a reader
    sees that something has to be filled in. Outside URIs, values of keys with a telling name go.
    """
    parts, place = [], 0
    while found := _START.search(text, place):
        stop = _END.search(text, found.end())
        end = stop.start() if stop else len(text)
        closing = _CLOSING.get(text[found.start() - 1 : found.start()], "")
        if closing and text.endswith(closing, found.end(), end):
            end -= 1
        parts += [_hide_pairs(text[place : found.start()]), _redact_uri(text[found.start() : end])]
        place = end
    return "".join([*parts, _hide_pairs(text[place:])])


def strip_credentials(uri: str) -> str:
    """Return an address without user and password, as a browser takes it."""
    return redact(uri).replace(f"{HIDDEN}@", "")


def _redact_uri(uri: str) -> str:
    scheme, _, rest = uri.partition("://")
    length = _measure_user(scheme.lower(), rest)
    shown = f"{scheme}://{HIDDEN}@" if length else f"{scheme}://"
    front, mark, query = rest[length:].partition("?")
    front, fragment_mark, fragment = front.partition("#")
    shown += front + fragment_mark + (_hide_query(fragment) if "=" in fragment else fragment)
    return shown + mark + _hide_query(query)


def _measure_user(scheme: str, rest: str) -> int:
    """Return the length of the user information with its @, which opens `rest`; 0 without any.

    A password should have its /, ? and @ escaped, and often has not: in doubt more is hidden.
    """
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    path = rest.partition("?")[0]
    if "@" in authority:
        is_container = scheme in _CONTAINER_SCHEMES and path.count("@") == 1
        return 0 if is_container and ":" not in authority else path.rindex("@") + 1
    if authority.startswith("[") or ":" not in authority:
        return 0
    # A colon, and an @ only behind a slash or a question mark: these belong to a password.
    behind_colon = authority.partition(":")[2]
    within = path if "@" in path or behind_colon.isdigit() else rest
    return within.rfind("@") + 1


def _hide_query(query: str) -> str:
    return re.sub(r"[^&;]+", lambda found: _hide_value(found.group()), query)


def _hide_value(pair: str) -> str:
    key, mark, value = pair.partition("=")
    if not mark:
        return HIDDEN
    return pair if unquote(key).lower() in _PUBLIC_KEYS or not value else f"{key}={HIDDEN}"


def _hide_pairs(text: str) -> str:
    return _SECRET.sub(rf"\g<key>{HIDDEN}", text)
