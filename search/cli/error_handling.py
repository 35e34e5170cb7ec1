"""Turn an error into one message and an exit code."""

import re
import signal
import traceback
from pathlib import Path

from search.core.errors import Interrupted, SignalReceived, SpksearchError
from search.core.paths import CODE, home

FAILURE = 1
USAGE = 2
ENVIRONMENT = 3

_NUMBER = re.compile(
    r"Invalid value for '(?P<name>[^':]+)'[^:]*: Input should be (?P<wanted>.*)", re.DOTALL
)
_WANTED = (
    ("greater than or equal to ", "must be at least "),
    ("less than or equal to ", "must be at most "),
    ("greater than ", "must be more than "),
    ("less than ", "must be less than "),
    ("a valid integer", "takes a whole number"),
    ("a valid number", "takes a number"),
)
"""By what pydantic says of an option's number: what we say."""

_OWN_PACKAGES = tuple(CODE / package for package in ("search", "spaces", "spkmodel"))


def choose_exit_code(error: BaseException) -> int:
    """Return the exit code of the command line for an error that ended a verb."""
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
        case ValueError() if _is_raised_by_us(error):
            return USAGE
        case Exception() if _is_defined_by_us(error):
            return ENVIRONMENT
        case _:
            return FAILURE


def rephrase_usage(message: str) -> str:
    """Return a message of the command line's library about a number in our own words."""
    found = _NUMBER.fullmatch(message)
    if found is None:
        return message
    for theirs, ours in _WANTED:
        if found["wanted"].startswith(theirs):
            limit = found["wanted"].removeprefix(theirs) if theirs.endswith(" ") else ""
            return f"{found['name']} {ours}{limit}"
    return message


def format_message(error: BaseException) -> str:
    """Return the message for a person: what happened, where, what to do; without Python's names."""
    match error:
        case SignalReceived():
            return str(error)
        case KeyboardInterrupt():
            return "interrupted"
        case OSError() if error.strerror:
            return _format_os_error(error)
        case _ if choose_exit_code(error) != FAILURE or isinstance(error, SpksearchError):
            return _format_validation_error(error) or str(error) or type(error).__name__
        case _:
            return (
                f"unexpected {type(error).__name__}: {error}\n"
                "this is a failure of spksearch; the same command with --debug shows where"
            )


def _format_os_error(error: OSError) -> str:
    prefix = f"{error.filename}: " if error.filename else ""
    text = f"{prefix}{error.strerror}"
    if choose_exit_code(error) == ENVIRONMENT:
        return f"{text}; SPKSEARCH_HOME names a folder that can be written"
    return text


def _format_validation_error(error: BaseException) -> str | None:
    from pydantic import ValidationError

    if not isinstance(error, ValidationError):
        return None
    from search.core.validation_messages import describe_validation_error

    return describe_validation_error(error)


def _is_below_home(error: OSError) -> bool:
    name = error.filename
    return isinstance(name, str | Path) and Path(name).absolute().is_relative_to(home())


def _is_raised_by_us(error: BaseException) -> bool:
    """Return whether our own code raised it; a library's ValueError is a failure of ours."""
    from pydantic import ValidationError

    if isinstance(error, ValidationError) or _is_defined_by_us(error):
        return True
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and any(
        Path(frames[-1].filename).is_relative_to(own) for own in _OWN_PACKAGES
    )


def _is_defined_by_us(error: BaseException) -> bool:
    return type(error).__module__.split(".")[0] in ("search", "spaces", "spkmodel")
