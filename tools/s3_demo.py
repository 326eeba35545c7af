"""The whole method from S3 to S3, with an S3 server on this machine: `make s3-demo`.

Starts the server (moto) on a free loopback port, uploads the pictures and field notes of a small
made-up world, runs the pipeline on them as a user with a bucket would, lists what lies on S3 then,
copies the report out and stops the server. Further words go to the pipeline: `study.shots=[1,5]`.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gist_ray.demo.butterflies.collection import folder_name, write_collection
from gist_ray.demo.butterflies.config import WorldConfig
from gist_ray.demo.butterflies.notes import field_notes
from gist_ray.demo.butterflies.species import make_species
from gist_ray.store import s3, storage

REPOSITORY = Path(__file__).parents[1]
REPORT = Path("results/s3-demo-report.html")
BUCKET = "gist-ray-demo"
DATA, ROOT = f"s3://{BUCKET}/data", f"s3://{BUCKET}/results"
WORLD = WorldConfig(
    seed=7,
    num_genera=3,
    species_per_genus=2,
    train_per_species=8,
    val_per_species=4,
    test_per_species=12,
)
WORDS = [
    "name=s3-demo",
    f"root={ROOT}",
    "data=image_folder",
    f"data.path={DATA}/images",
    f"data.class_names={DATA}/class_names.json",
    f"texts.notes={DATA}/notes.json",
    "prompts=butterflies",
    "study.trainings=[gist]",
    "study.shots=[3]",
    "study.seeds=[1]",
]
START_TIMEOUT_S = 60


def main() -> None:
    with server() as endpoint:
        os.environ |= {
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": "demo",
            "AWS_SECRET_ACCESS_KEY": "demo",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        # Whatever profile or session the user has is for another S3.
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "RAY_ADDRESS"):
            os.environ.pop(name, None)
        print(f"An S3 server listens at {endpoint}; it forgets everything when this ends.")
        upload()
        job = [sys.executable, str(REPOSITORY / "jobs" / "run.py"), *WORDS, *sys.argv[1:]]
        print("gist-ray run", *job[2:], flush=True)
        if code := subprocess.run(job, check=False).returncode:
            sys.exit(code)
        show()


@contextmanager
def server() -> Iterator[str]:
    """The address of a server that runs as long as the context."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    # In a session of its own: Ctrl-C is for the pipeline, and the server ends after it.
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        end = time.monotonic() + START_TIMEOUT_S
        while not _listens(port):
            if process.poll() is not None or time.monotonic() > end:
                sys.exit("The S3 server did not start. Is moto[server] installed (make s3-demo)?")
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as attempt:
        return attempt.connect_ex(("127.0.0.1", port)) == 0


def upload() -> None:
    s3.filesystem().call_s3("create_bucket", Bucket=BUCKET)
    with tempfile.TemporaryDirectory() as folder:
        write_collection(WORLD, folder)
        pictures = sorted(Path(folder, "images").rglob("*.png"))
        for picture in pictures:
            storage.put_file(str(picture), f"{DATA}/{picture.relative_to(folder)}")
    species = make_species(WORLD)
    storage.write_json(f"{DATA}/class_names.json", {folder_name(s): s.name for s in species})
    storage.write_json(f"{DATA}/notes.json", field_notes(species))
    print(f"Uploaded {len(pictures)} pictures and the field notes to {DATA}.")


def show() -> None:
    folder = f"{ROOT}/runs/s3-demo"
    print(f"\n{folder} has")
    for name in storage.list_files(folder):
        print(f"  {len(storage.read_bytes(f'{folder}/{name}')):>10,} bytes  {name}")
    files = Counter(name.split("/")[0] for name in storage.list_files(f"{ROOT}/artifacts"))
    print(f"{ROOT}/artifacts has")
    for kind, number in sorted(files.items()):
        print(f"  {number:>10,} files  {kind}")
    storage.get_file(f"{folder}/report.html", str(REPORT))
    print(f"\nThe report, copied from S3: {REPORT}")


if __name__ == "__main__":
    # As Ctrl-C: what was started is stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
