"""Kinds of failures of a store over the network, and the retries of its operations.

There are two layers of retries. botocore repeats a single request up to `s3.REQUEST_ATTEMPTS`
times, with jitter. `patiently` repeats a whole operation. It covers what botocore does not: a body
that ends early or stalls, a server that takes longer to recover, a lost answer.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import TypeVar

from botocore import exceptions as boto  # type: ignore[import-untyped]
from botocore.parsers import ResponseParserError  # type: ignore[import-untyped]
from tenacity import RetryCallState, Retrying, before_sleep_log, stop_before_delay
from tenacity.wait import wait_random_exponential

from gist_ray.schema import TRANSIENT_KINDS

PATIENCE_S = 120.0
"""Seconds that an operation on a small file may take, with all its attempts."""

SLOWEST_BYTES_PER_S = 2**20
"""The rate that a large file may come at: the time allowed grows with its size at this rate."""

LONGEST_PAUSE_S = 15.0

FORBIDDEN_ATTEMPTS = 2
"""Attempts at a request that is denied: S3 sometimes answers 403 when it throttles (ray#55055)."""

KIND_OF_CODE = {
    "404": "missing",
    "NoSuchKey": "missing",
    "NoSuchBucket": "missing",
    "403": "forbidden",
    "AccessDenied": "forbidden",
    "503": "throttled",
    "429": "throttled",
    "SlowDown": "throttled",
    "RequestLimitExceeded": "throttled",
    # of two exclusive writes at the same time; the retry of one finds the other's file
    "ConditionalRequestConflict": "throttled",
    # S3 answers 400 to a request that was damaged or truncated on its way
    "RequestTimeout": "network",
    "IncompleteBody": "network",
    "BadDigest": "network",
    "XAmzContentSHA256Mismatch": "network",
    "408": "network",
    "410": "missing",
}
"""The kind of failure by the code of S3's answer or, where that is unknown, its HTTP status."""

# aiohttp's ClientError belongs to these as well; failure_kind imports it only when needed.
NO_ANSWER = (
    boto.HTTPClientError,  # time-outs, resets, broken answers
    boto.ConnectionError,  # refused connections; not a subclass of HTTPClientError
    boto.IncompleteReadError,
    boto.ResponseStreamingError,
    boto.ChecksumError,
    boto.FlexibleChecksumError,
    ResponseParserError,
    asyncio.TimeoutError,
    TimeoutError,  # fsspec's own, too
    ConnectionError,
)

NO_CREDENTIALS = (
    boto.NoCredentialsError,
    boto.PartialCredentialsError,
    boto.CredentialRetrievalError,
    boto.ProfileNotFound,
    boto.TokenRetrievalError,
)

Result = TypeVar("Result")

logger = logging.getLogger(__name__)


def failure_kind(error: BaseException) -> str | None:
    """Returns missing, forbidden, throttled or network; None for an error that no store raises.

    An answer of the server with any other 3xx or 4xx status counts as forbidden, since a retry
    would get it again. The server's answer is looked for along `__cause__`, where s3fs and fsspec's
    http keep it.
    """
    import aiohttp  # only after a failure: the import takes a third of a second

    seen: BaseException | None = error
    while seen is not None:
        response = getattr(seen, "response", None)
        if isinstance(response, dict):
            return _kind_of_answer(response)
        if isinstance(seen, aiohttp.ClientResponseError):
            return _kind_of_status(str(seen.status))
        if isinstance(seen, NO_CREDENTIALS):
            return "forbidden"
        if isinstance(seen, boto.ParamValidationError):
            return "missing"  # no bucket can have this name
        if isinstance(seen, (*NO_ANSWER, aiohttp.ClientError)):
            return "network"
        seen = seen.__cause__
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return "missing"
    return "forbidden" if isinstance(error, PermissionError) else None


def _kind_of_answer(response: dict) -> str:
    code = str(response.get("Error", {}).get("Code", ""))
    status = str(response.get("ResponseMetadata", {}).get("HTTPStatusCode", ""))
    return KIND_OF_CODE.get(code) or _kind_of_status(status)


def _kind_of_status(status: str) -> str:
    kind = KIND_OF_CODE.get(status)
    return kind or ("forbidden" if status.startswith(("3", "4")) else "network")


def patience_for(num_bytes: int) -> float:
    return PATIENCE_S + num_bytes / SLOWEST_BYTES_PER_S


def patiently(call: Callable[[float], Result], patience_s: float = PATIENCE_S) -> Result:
    """Returns the result of `call`, repeated until it succeeds, fails with an error that no retry
    mends, or `patience_s` has passed. The argument of `call` is the number of seconds left.

    Pauses are drawn uniformly from 0 to a bound that doubles, so that many workers do not retry at
    the same time. Raises the last error unchanged, except that a time-out after an answer of the
    server raises that answer's error, which says more.
    """
    end = time.monotonic() + patience_s
    answers: list[Exception] = []

    def attempt() -> Result:
        try:
            return call(max(1.0, end - time.monotonic()))
        except TimeoutError:
            if answers:
                raise answers[-1]  # noqa: B904 (`from` would replace its own cause)
            raise
        except Exception as error:
            answers.append(error)
            raise

    attempts = Retrying(
        retry=_may_pass,
        wait=wait_random_exponential(multiplier=0.5, max=LONGEST_PAUSE_S),
        stop=stop_before_delay(patience_s),
        before_sleep=before_sleep_log(logger, logging.INFO),
        reraise=True,
    )
    return attempts(attempt)


def _may_pass(state: RetryCallState) -> bool:
    error = state.outcome.exception() if state.outcome else None
    kind = failure_kind(error) if error else None
    return kind in TRANSIENT_KINDS or (
        kind == "forbidden" and state.attempt_number < FORBIDDEN_ATTEMPTS
    )
