"""Show names of files as they can be pasted into a shell."""

import os
import shlex


def quote_path(path: str | os.PathLike[str]) -> str:
    """Return a path quoted for a shell; control characters and wrong bytes become `$'...'` escapes.

    A plain path stays as it is. Nothing that a terminal would act on is left in the text.
    """
    text = os.fspath(path)
    if text.isprintable():
        return shlex.quote(text)
    return "$'" + "".join(_escape(character) for character in text) + "'"


def _escape(character: str) -> str:
    if character in "\\'":
        return f"\\{character}"
    if character.isprintable():
        return character
    return "".join(f"\\x{byte:02x}" for byte in os.fsencode(character))
