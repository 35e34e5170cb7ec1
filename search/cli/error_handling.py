"""What went wrong, in one message, and the exit code that goes with it."""

import signal
import traceback
from pathlib import Path

from search.core.errors import Interrupted, SignalReceived, SpksearchError
from search.core.paths import CODE, home

OURS = 1
USAGE = 2
ENVIRONMENT = 3

_OWN = tuple(CODE / package for package in ("search", "spaces", "spkmodel"))


def exit_code(error: BaseException) -> int:
    """The exit code of the command line for an error that ended a verb."""
    match error:
        case SignalReceived() | Interrupted():
            return 128 + error.signal_number
        case KeyboardInterrupt():
            return 128 + signal.SIGINT
        case SpksearchError():
            return error.exit_code
        case FileNotFoundError() | IsADirectoryError() | NotADirectoryError():
            # What is asked for is named by the user; the home folder is where we want to write.
            return ENVIRONMENT if _is_below_home(error) else USAGE
        case OSError():
            return ENVIRONMENT
        case ValueError() if _raised_by_us(error):
            return USAGE
        case Exception() if _is_ours(error):
            return ENVIRONMENT
        case _:
            return OURS


def message(error: BaseException) -> str:
    """What to tell a person: what, where, what to do; without the name of a Python class."""
    match error:
        case SignalReceived():
            return str(error)
        case KeyboardInterrupt():
            return "interrupted"
        case OSError() if error.strerror:
            return _os_message(error)
        case _ if exit_code(error) != OURS or isinstance(error, SpksearchError):
            return _pydantic_message(error) or str(error) or type(error).__name__
        case _:
            return (
                f"unexpected {type(error).__name__}: {error}\n"
                "this is a failure of spksearch; the same command with --debug shows where"
            )


def _os_message(error: OSError) -> str:
    place = f"{error.filename}: " if error.filename else ""
    text = f"{place}{error.strerror}"
    if exit_code(error) == ENVIRONMENT:
        return f"{text}; SPKSEARCH_HOME names a folder that can be written"
    return text


def _pydantic_message(error: BaseException) -> str | None:
    from pydantic import ValidationError

    if not isinstance(error, ValidationError):
        return None
    from search.core.validation_messages import describe_validation_error

    return describe_validation_error(error)


def _is_below_home(error: OSError) -> bool:
    name = error.filename
    return isinstance(name, str | Path) and Path(name).absolute().is_relative_to(home())


def _raised_by_us(error: BaseException) -> bool:
    """Whether our own code said so; a ValueError from inside a library is a failure of ours."""
    from pydantic import ValidationError

    if isinstance(error, ValidationError) or _is_ours(error):
        return True
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and any(Path(frames[-1].filename).is_relative_to(own) for own in _OWN)


def _is_ours(error: BaseException) -> bool:
    return type(error).__module__.split(".")[0] in ("search", "spaces", "spkmodel")
