from itertools import pairwise

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
    IncompleteReadError,
    NoCredentialsError,
    ParamValidationError,
    ReadTimeoutError,
)
from fsspec.exceptions import FSTimeoutError

from gist_ray.store import retry
from gist_ray.store.retry import failure_kind, patience_for, patiently


def answer(code: str, status: int) -> ClientError:
    error = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(error, "GetObject")


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("NoSuchKey", 404, "missing"),
        ("NoSuchBucket", 404, "missing"),
        ("404", 404, "missing"),
        ("AccessDenied", 403, "forbidden"),
        ("SignatureDoesNotMatch", 403, "forbidden"),
        ("PermanentRedirect", 301, "forbidden"),
        ("AuthorizationHeaderMalformed", 400, "forbidden"),
        ("SlowDown", 503, "throttled"),
        ("ConditionalRequestConflict", 409, "throttled"),
        ("ServiceUnavailable", 503, "throttled"),
        ("TooManyRequests", 429, "throttled"),
        ("InternalError", 500, "network"),
        ("RequestTimeout", 400, "network"),
        ("IncompleteBody", 400, "network"),
    ],
)
def test_an_answer_of_s3_has_its_kind_bare_or_behind_s3fs(code: str, status: int, kind: str):
    error = answer(code, status)
    assert failure_kind(error) == kind
    behind = OSError(5, "Input/output error")
    behind.__cause__ = error
    assert failure_kind(behind) == kind


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ReadTimeoutError(endpoint_url="u", error=None), "network"),
        (ConnectionClosedError(endpoint_url="u"), "network"),
        (EndpointConnectionError(endpoint_url="u", error=None), "network"),
        (IncompleteReadError(actual_bytes=1, expected_bytes=2), "network"),
        (FSTimeoutError(), "network"),
        (TimeoutError(), "network"),
        (ConnectionResetError("reset by peer"), "network"),
        (NoCredentialsError(), "forbidden"),
        (PermissionError("Access Denied"), "forbidden"),
        (FileNotFoundError("bucket/a.jpg"), "missing"),
        (ParamValidationError(report="Invalid bucket name"), "missing"),
        (ValueError("a fault of ours"), None),
        (OSError(28, "No space left on device"), None),
    ],
)
def test_what_has_no_answer_has_a_kind_too(error: Exception, kind: str | None):
    assert failure_kind(error) == kind


@pytest.fixture
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "LONGEST_PAUSE_S", 0.0)


@pytest.mark.parametrize(
    ("error", "attempts"),
    [
        (answer("SlowDown", 503), 4),
        (ConnectionResetError(), 4),
        (answer("AccessDenied", 403), 2),
        (answer("NoSuchKey", 404), 1),
        (ValueError("a fault of ours"), 1),
    ],
)
@pytest.mark.usefixtures("without_pauses")
def test_only_what_may_pass_is_tried_again(error: Exception, attempts: int) -> None:
    calls = []

    def call(timeout_s: float) -> str:
        calls.append(timeout_s)
        if len(calls) < 4:
            raise error
        return "data"

    if attempts == 4:
        assert patiently(call) == "data"
    else:
        with pytest.raises(type(error)):
            patiently(call)
    assert len(calls) == attempts
    assert all(later <= sooner <= retry.PATIENCE_S for sooner, later in pairwise(calls))


def test_patience_ends_and_the_last_error_is_told() -> None:
    def call(timeout_s: float) -> None:
        raise answer("SlowDown", 503)

    with pytest.raises(ClientError, match="SlowDown"):
        patiently(call, patience_s=0.0)


def test_a_large_file_has_more_time() -> None:
    assert patience_for(0) == retry.PATIENCE_S
    assert patience_for(600 * 2**20) == retry.PATIENCE_S + 600
