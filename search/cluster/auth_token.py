"""Find the token that a Ray cluster asks for, and tell Ray whether to show it."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search.core.errors import EnvironmentSetupError
from spkmodel.core import foreign_file

_MOST_BYTES = 1 << 16

TOKEN_HELP = (
    "put the cluster's token into a file of yours with mode 600 and name it in "
    "RAY_AUTH_TOKEN_PATH, or as ~/.ray/auth_token"
)


@dataclass(frozen=True)
class Token:
    """The token that this process would show, and the source it was read from."""

    value: str
    source: str


def find_token() -> Token | None:
    """Return the token that Ray would take, looked for in Ray's order; None if there is none.

    Raises:
        EnvironmentSetupError: if a file that holds it can be read by others, or is not there.
    """
    # The order is that of Ray's AuthenticationTokenLoader: what is checked here must be what Ray
    # shows.
    if value := os.environ.get("RAY_AUTH_TOKEN", "").strip():
        return Token(value, "RAY_AUTH_TOKEN")
    named = os.environ.get("RAY_AUTH_TOKEN_PATH")
    path = Path(named) if named else Path.home() / ".ray" / "auth_token"
    if not path.is_file():
        if named:
            raise EnvironmentSetupError(f"RAY_AUTH_TOKEN_PATH: no file {path}; {TOKEN_HELP}")
        return None
    require_private(path)
    try:
        return Token(foreign_file.read_text(path, _MOST_BYTES).strip(), str(path))
    except foreign_file.ForeignFileError as error:
        raise EnvironmentSetupError(f"{error}; {TOKEN_HELP}") from error


def require_private(path: Path) -> None:
    """Require that only the owner of a secret's file can read it.

    Raises:
        EnvironmentSetupError: if others can read it, or it belongs to another user.
    """
    status = path.stat()
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise EnvironmentSetupError(
            f"{path} can be read by others than its owner, and who reads it can run code on the "
            f"cluster; `chmod 600 {path}`, and make a new token if others use this machine"
        )
    # The owner of a file may change its mode and contents at any time.
    if status.st_uid not in (os.geteuid(), 0):
        raise EnvironmentSetupError(f"{path} belongs to another user, who may change it; copy it")


def set_auth_mode(mode: str) -> None:
    """Tell Ray whether to show a token: `mode` is token or disabled."""
    if os.environ.get("RAY_AUTH_MODE") == mode:
        return
    os.environ["RAY_AUTH_MODE"] = mode
    from ray import _raylet

    # Ray reads the variable once, when it is imported; these two calls make it read it again.
    compiled: Any = _raylet
    compiled.Config.initialize("")
    compiled.AuthenticationTokenLoader.instance().reset_cache()
