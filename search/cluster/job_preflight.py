"""What a cluster asks of those who give it jobs; `preflight` is for those who join it."""

import json
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, build_opener

from search.cluster.preflight import (
    ANSWER_SECONDS,
    TOKEN_HELP,
    is_loopback,
    open_text,
    own_token,
    set_mode,
)
from search.core.errors import EnvironmentSetupError


def check_jobs(address: str, *, insecure: bool = False) -> None:
    """Refuse an open cluster that others can reach, before a job is given to it.

    Args:
        address: http://HOST:PORT, where jobs are taken.
        insecure: whether one will do all the same.

    Raises:
        EnvironmentSetupError: also if nothing answers, or a token is wanted and there is none.
    """
    status, machines = _asked_by_http(address)
    if status in (401, 403):
        if own_token() is None:
            raise EnvironmentSetupError(
                f"the Ray cluster at {address} wants a token, and there is none here; {TOKEN_HELP}"
            )
        set_mode("token")
        return
    host = urlsplit(address).hostname or ""
    seen = machines or [host]
    if not insecure and not all(is_loopback(machine) for machine in seen):
        raise EnvironmentSetupError(open_text(address, seen))


def _asked_by_http(address: str) -> tuple[int, list[str]]:
    """What the head says to a question without a token: the status, and its machines."""
    url = f"{address.rstrip('/')}/nodes?view=summary"
    # No proxy: whatever stands in between would answer for the cluster.
    opener = build_opener(ProxyHandler({}))
    try:
        with opener.open(url, timeout=ANSWER_SECONDS) as answer:
            told = json.load(answer)
    except HTTPError as error:
        if error.code not in (401, 403):
            raise EnvironmentSetupError(f"{address} takes no jobs: {error.code}") from error
        return error.code, []
    except (OSError, ValueError) as error:
        raise EnvironmentSetupError(
            f"no Ray dashboard answers at {address}: {getattr(error, 'reason', error)}; start the "
            "head with its dashboard, or forward its port 8265"
        ) from error
    try:
        return 200, [str(machine["ip"]) for machine in told["data"]["summary"]]
    except (KeyError, TypeError) as error:
        raise EnvironmentSetupError(f"what answers at {address} is no Ray dashboard") from error
