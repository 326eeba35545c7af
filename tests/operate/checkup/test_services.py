import socket
from pathlib import Path

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError

from gist_ray.operate.checkup import services
from gist_ray.store import s3
from tests.conftest import s3_environment

NOWHERE = {"AWS_SHARED_CREDENTIALS_FILE": "/none", "AWS_CONFIG_FILE": "/none"}


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_a_folder_with_a_long_path_is_too_long_for_rays_sockets(tmp_path: Path) -> None:
    assert services.sockets({"TMPDIR": "/tmp"}).level == "ok"
    deep = tmp_path / ("x" * 100)
    deep.mkdir()
    found = services.sockets({"TMPDIR": str(deep)})
    assert found.level == "problem"
    assert "RAY_TMPDIR" in found.fix
    assert list(deep.iterdir()) == []
    # Ray takes this one first
    assert services.sockets({"TMPDIR": str(deep), "RAY_TMPDIR": "/tmp"}).level == "ok"
    assert services.sockets({"TMPDIR": "/no/such/folder"}).level == "problem"


@pytest.mark.parametrize("form", ["127.0.0.1:{}", "ray://127.0.0.1:{}"])
def test_an_address_where_nothing_listens_is_a_problem(form: str) -> None:
    address = form.format(free_port())
    found = services.ray({"RAY_ADDRESS": address})
    assert found.level == "problem"
    assert found.found.startswith(f"RAY_ADDRESS={address}: no connection to")


def test_a_listener_that_is_no_ray_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "_no_status", lambda address: "Ray does not answer")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        assert services.ray({"RAY_ADDRESS": address}).level == "problem"
        monkeypatch.setattr(services, "_no_status", lambda address: "")
        assert services.ray({"RAY_ADDRESS": address}).level == "ok"


def test_without_an_address_a_run_starts_its_own_ray() -> None:
    assert services.ray({}).level == "ok"


def test_s3_is_not_asked_where_nothing_is_set_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "_listing_failed", lambda: pytest.fail("was asked"))
    assert "nothing is set up" in services.s3(NOWHERE).found
    dead = f"http://key:geheim@127.0.0.1:{free_port()}"
    found = services.s3({**NOWHERE, "AWS_ENDPOINT_URL": dead})
    assert found.level == "problem"
    assert "geheim" not in f"{found}"


@pytest.mark.parametrize(
    ("error", "level", "said"),
    [
        (None, "ok", "takes the credentials"),
        (ClientError({"Error": {"Code": "AccessDenied"}}, "ListBuckets"), "ok", "may not list"),
        (
            ClientError(
                {
                    "Error": {"Code": "InvalidAccessKeyId", "Message": "geheim"},
                    "ResponseMetadata": {"HTTPStatusCode": 403},
                },
                "ListBuckets",
            ),
            "problem",
            "refuses the credentials (InvalidAccessKeyId)",
        ),
        (NoCredentialsError(), "problem", "refuses the credentials (NoCredentialsError)"),
        (
            EndpointConnectionError(endpoint_url="http://key:geheim@host"),
            "problem",
            "does not answer (EndpointConnectionError)",
        ),
    ],
)
def test_what_s3_answers(error: Exception | None, level: str, said: str) -> None:
    found = services.s3_finding("http://host", error)
    assert found.level == level
    assert said in found.found
    assert "geheim" not in f"{found}"


def test_a_real_endpoint_is_listed(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = s3_environment(s3_endpoint)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    # another test of this process may have asked for S3 without these credentials
    s3.filesystem().clear_instance_cache()
    found = services.s3(environment)
    assert (found.level, found.found) == ("ok", f"{s3_endpoint} answers and takes the credentials")
