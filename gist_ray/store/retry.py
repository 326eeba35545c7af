"""What may fail at a store over the network, and how long it is tried again.

Two layers. botocore tries every single request a few times (`s3.REQUEST_ATTEMPTS`), with jitter.
`patiently` is put around every whole operation and covers what lies beyond a request: a body that
ends early or stops, a server that takes longer to recover, an answer that was lost.
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
"""How long an operation on a small file may take with all its attempts."""

SLOWEST_BYTES_PER_S = 2**20
"""For large files the patience grows as if they came at this rate."""

LONGEST_PAUSE_S = 15.0

FORBIDDEN_ATTEMPTS = 2
"""S3 has been seen to deny access to those whom it throttles (ray#55055)."""

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
    # two exclusive writes at a time; tried again, one of them finds the other's file
    "ConditionalRequestConflict": "throttled",
    # S3 says 400 to what was damaged or cut off on its way
    "RequestTimeout": "network",
    "IncompleteBody": "network",
    "BadDigest": "network",
    "XAmzContentSHA256Mismatch": "network",
    "408": "network",
}
"""Codes of S3's answers and, where those say nothing, HTTP states."""

# And aiohttp's ClientError.
NO_ANSWER = (
    boto.HTTPClientError,  # time-outs, resets, broken answers
    boto.ConnectionError,  # refused connections; a class of its own
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
    """missing, forbidden, throttled or network; None for what no store is known to raise.

    A server's refusal that is none of the others counts as forbidden: it would come again.
    s3fs puts the answer of the server behind an exception of its own.
    """
    import aiohttp  # only once something has failed: it takes a third of a second

    seen: BaseException | None = error
    while seen is not None:
        response = getattr(seen, "response", None)
        if isinstance(response, dict):
            return _kind_of_answer(response)
        if isinstance(seen, NO_CREDENTIALS):
            return "forbidden"
        if isinstance(seen, boto.ParamValidationError):
            return "missing"  # such a bucket cannot be
        if isinstance(seen, (*NO_ANSWER, aiohttp.ClientError)):
            return "network"
        seen = seen.__cause__
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return "missing"
    return "forbidden" if isinstance(error, PermissionError) else None


def _kind_of_answer(response: dict) -> str:
    code = str(response.get("Error", {}).get("Code", ""))
    status = str(response.get("ResponseMetadata", {}).get("HTTPStatusCode", ""))
    kind = KIND_OF_CODE.get(code) or KIND_OF_CODE.get(status)
    return kind or ("forbidden" if status.startswith(("3", "4")) else "network")


def patience_for(num_bytes: int) -> float:
    return PATIENCE_S + num_bytes / SLOWEST_BYTES_PER_S


def patiently(call: Callable[[float], Result], patience_s: float = PATIENCE_S) -> Result:
    """`call(seconds it may take)` until it succeeds, fails for good, or `patience_s` is over.

    Pauses are drawn between nothing and a bound that doubles, so that many workers do not come
    back at once. Raises the last error as it was; a time-out says less than an answer before it.
    """
    end = time.monotonic() + patience_s
    answers: list[Exception] = []

    def attempt() -> Result:
        try:
            return call(max(1.0, end - time.monotonic()))
        except TimeoutError:
            if answers:
                raise answers[-1]  # noqa: B904 (`from` would put away the cause that it has)
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
