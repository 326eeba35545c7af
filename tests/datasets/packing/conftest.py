import io
import random
from collections.abc import Callable, Iterator

import boto3
import pytest
from moto.server import ThreadedMotoServer
from PIL import Image
from s3fs import S3FileSystem

from gist_ray.store import storage

BUCKET = "packs"


def jpeg(number: int, size: tuple[int, int] = (24, 16)) -> bytes:
    """A picture of its own for each number."""
    noise = random.Random(number).randbytes(3 * size[0] * size[1])
    buffer = io.BytesIO()
    Image.frombytes("RGB", size, noise).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


@pytest.fixture
def write_pictures() -> Callable[..., str]:
    """Writes `count` pictures under each of the folders below a root; returns the root."""

    def write(root: object, folders: list[str], count: int) -> str:
        for place, folder in enumerate(folders):
            for number in range(count):
                # a hash is a character like others, also where it looks like a reference
                uri = storage.join(str(root), folder, f"{number} #{number}.jpg")
                storage.write_bytes(uri, jpeg(1000 * place + number))
        return str(root)

    return write


@pytest.fixture(scope="module")
def s3_environment() -> Iterator[dict[str, str]]:
    """A server that speaks S3, and what a process needs to take it for S3."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    environment = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        S3FileSystem.clear_instance_cache()  # they know another endpoint
        boto3.client("s3").create_bucket(Bucket=BUCKET)
        yield environment
    S3FileSystem.clear_instance_cache()
    server.stop()
