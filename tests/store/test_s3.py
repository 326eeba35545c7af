"""The storage functions against a server that speaks S3, undisturbed and with faults before it."""

import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pytest
from botocore.exceptions import ClientError
from s3fs.errors import translate_boto_error

from gist_ray.errors import UserError
from gist_ray.images.decode import ImageError, fetch
from gist_ray.matching.vectors import embedding_matrix, find_vectors
from gist_ray.matching.vectors import stored_vectors as stored_vectors_of
from gist_ray.run.progress import Progress
from gist_ray.run.rows import run_rows
from gist_ray.run.step import Step
from gist_ray.store import ranged_file, reachable, retry, s3, storage
from gist_ray.store.artifacts import Artifact, ArtifactStore
from gist_ray.store.file_facts import content_facts
from gist_ray.store.parts import read_part
from gist_ray.store.ranged_file import TAIL_BYTES
from gist_ray.store.reachable import why_missing, why_unwritable
from tests.conftest import s3_environment
from tests.faults.proxy import FaultyProxy, Rule, faulty_proxy

ROOT = "s3://bucket/a team's root"
NAMES = ["plain.txt", "a b.txt", "a#1.txt", "what?.txt", "50%.txt", "50%20.txt", "a+b.txt"]
NAMES += ["caf\u00e9 \u732b.txt", "[1]*.txt", "deep/er/a::b.txt", "&=;,@.txt"]


@pytest.fixture(scope="module")
def proxy(s3_endpoint: str) -> Iterator[FaultyProxy]:
    with faulty_proxy(s3_endpoint, seed=1) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def module_patch() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def files(proxy: FaultyProxy, module_patch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A bucket behind the proxy, for this process. A silent server is given up early, and botocore
    does not try on its own, so that a fault is seen by what is ours."""
    for name, value in s3_environment(proxy.url).items():
        module_patch.setenv(name, value)
    once = {"retries": {"mode": "standard", "total_max_attempts": 1}, "read_timeout": 1}
    module_patch.setitem(fsspec.config.conf, "s3", {"config_kwargs": once})
    module_patch.setattr(retry, "LONGEST_PAUSE_S", 0.2)
    s3.filesystem().clear_instance_cache()
    files = s3.filesystem()
    retry.patiently(lambda s: files.call_s3("create_bucket", Bucket="bucket", timeout=s))
    yield files
    files.clear_instance_cache()


@pytest.fixture(autouse=True)
def bucket(proxy: FaultyProxy, files: Any) -> Iterator[Any]:
    """The bucket's filesystem; the bucket is empty again after each test."""
    proxy.reset()
    yield files
    proxy.reset()
    s3.delete_objects(files, "bucket")


def test_names_are_only_names() -> None:
    for name in NAMES:
        storage.write_text(storage.join(ROOT, name), name)
    assert list(storage.list_files(ROOT)) == sorted(NAMES)
    for name in NAMES:
        uri = storage.join(ROOT, name)
        assert storage.read_text(uri) == name
        assert storage.exists(uri)
        assert not storage.is_folder(uri)
    assert storage.is_folder(f"{ROOT}/deep")
    assert "deep" in storage.names_in(ROOT)
    storage.delete(storage.join(ROOT, "[1]*.txt"))
    storage.delete(storage.join(ROOT, "deep"))
    assert list(storage.list_files(ROOT)) == sorted(NAMES[:-3] + NAMES[-1:])
    assert not storage.exists(f"{ROOT}/deep")


def test_facts_of_objects_are_equal_where_their_content_is_and_come_from_listings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    contents = {"a/0.jpg": b"one", "a/1.jpg": b"two", "b/0.jpg": b"one", "b/c/1.jpg": b"three"}
    for name, content in contents.items():
        storage.write_bytes(storage.join(ROOT, name), content)
    monkeypatch.setattr(s3, "read_object", None)
    wanted = [*contents, "a/nowhere.jpg", "b/c"]
    first, second, copy, other, *missing = content_facts([f"{ROOT}/{name}" for name in wanted])
    assert first == copy
    assert len({first, second, other}) == 3
    assert missing == [None, None]


def test_a_folder_is_not_its_namesakes() -> None:
    storage.write_text(f"{ROOT}/runs/1", "in")
    storage.write_text(f"{ROOT}/runs2/1", "beside")
    assert list(storage.list_files(f"{ROOT}/runs")) == ["1"]
    storage.delete(f"{ROOT}/runs")
    assert list(storage.list_files(ROOT)) == ["runs2/1"]


def test_names_that_start_alike() -> None:
    for name in ("alive.json", "alive.2.json", "alive", "alive.d/file", "b/alive.4.json"):
        storage.write_text(f"{ROOT}/{name}", "")
    assert storage.names_starting_with(f"{ROOT}/alive.") == ["alive.2.json", "alive.json"]
    assert storage.names_starting_with(f"{ROOT}/nowhere/alive.") == []


def test_listing_goes_on_page_by_page(proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(7):
        storage.write_bytes(f"{ROOT}/{number}", b"")
    files = s3.filesystem()
    two = {**files.s3_additional_kwargs, "MaxKeys": 2}
    monkeypatch.setattr(files, "s3_additional_kwargs", two)
    proxy.reset(Rule("slow_down", ("GET",), skip=2, burst=4, most=4))
    assert list(storage.list_files(ROOT)) == list("0123456")
    assert proxy.counts == {"slow_down": 4}
    assert len(proxy.requests) == 4 + 4  # a page that is there is not asked for again


FAULTS = [
    Rule("slow_down", most=3),
    Rule("reset", most=3),
    Rule("lost_answer", most=2),
    Rule("truncate", most=2),
    Rule("stall", most=1),
    Rule("stall_midway", most=1),
]


@pytest.mark.parametrize("rule", FAULTS, ids=lambda rule: rule.fault)
def test_faults_take_nothing_and_leave_nothing(
    rule: Rule, proxy: FaultyProxy, tmp_path: Path
) -> None:
    data = random.Random(1).randbytes(300_000)
    (tmp_path / "state.pt").write_bytes(data)
    table = pa.table({"a": range(1000)})
    for number, step in enumerate(
        [
            lambda: storage.write_bytes(f"{ROOT}/a", data),
            lambda: storage.read_bytes(f"{ROOT}/a") == data,
            lambda: storage.write_parquet(f"{ROOT}/t", table),
            lambda: storage.read_parquet(f"{ROOT}/t", ["a"]).equals(table),
            lambda: storage.put_file(str(tmp_path / "state.pt"), f"{ROOT}/state.pt"),
            lambda: storage.get_file(f"{ROOT}/state.pt", str(tmp_path / "copy")),
            lambda: (tmp_path / "copy").read_bytes() == data,
            lambda: list(storage.list_files(ROOT)) == ["a", "state.pt", "t"],
            lambda: storage.exists(f"{ROOT}/a") and not storage.exists(f"{ROOT}/b"),
            lambda: fetch(f"{ROOT}/a", 10**6) == data,
            lambda: storage.delete(ROOT),
            lambda: list(storage.list_files(ROOT)) == [],
        ]
    ):
        rule.done = rule.left_in_burst = 0
        proxy.reset(rule)
        assert step() in (None, True), number
        assert proxy.counts[rule.fault] or number == 6


def test_a_large_file_comes_whole_in_parts(
    proxy: FaultyProxy, bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket, "default_block_size", 2**20)
    data = random.Random(2).randbytes(5 * 2**20 + 1)
    storage.write_bytes(f"{ROOT}/large", data)
    proxy.reset(Rule("truncate", ("GET",), skip=2, most=3))
    storage.get_file(f"{ROOT}/large", str(tmp_path / "large"))
    assert (tmp_path / "large").read_bytes() == data
    assert proxy.counts == {"truncate": 3}
    assert os.listdir(tmp_path) == ["large"]


@pytest.fixture
def stored_vectors() -> pa.Table:
    """Stored at ROOT/t: a column of ids, and one of 4 MiB that does not compress."""
    vectors = np.random.default_rng(0).standard_normal(2**20, np.float32)
    columns = [[f"i{n}" for n in range(2048)], pa.FixedSizeListArray.from_arrays(vectors, 512)]
    rows = pa.table(columns, ["id", "embedding"])
    storage.write_parquet(f"{ROOT}/t", rows)
    return rows


def test_a_column_costs_its_bytes_and_the_footer(
    stored_vectors: pa.Table, proxy: FaultyProxy
) -> None:
    proxy.reset()
    assert storage.read_parquet(f"{ROOT}/t", ["id"]).equals(stored_vectors.select(["id"]))
    assert len(proxy.requests) == 2
    assert TAIL_BYTES < proxy.bytes_sent < 2 * TAIL_BYTES
    proxy.reset()
    assert storage.read_parquet(f"{ROOT}/t").equals(stored_vectors)
    assert len(proxy.requests) == 1
    proxy.reset()
    storage.read_parquet(f"{ROOT}/t", ["embedding"])
    assert len(proxy.requests) == 2


def test_a_column_of_a_small_file_costs_one_request(proxy: FaultyProxy) -> None:
    rows = pa.table({"a": range(1000), "b": range(1000)})
    storage.write_parquet(f"{ROOT}/t", rows)
    proxy.reset()
    assert storage.read_parquet(f"{ROOT}/t", ["b"]).equals(rows.select(["b"]))
    assert len(proxy.requests) == 1


@pytest.mark.parametrize("fault", ["slow_down", "reset", "truncate", "stall_midway"])
@pytest.mark.parametrize("skip", [0, 1], ids=["footer", "column"])
def test_ranges_that_fail_are_read_again(
    fault: Any, skip: int, stored_vectors: pa.Table, proxy: FaultyProxy
) -> None:
    proxy.reset(Rule(fault, skip=skip, most=2))
    assert storage.read_parquet(f"{ROOT}/t", ["id"]).equals(stored_vectors.select(["id"]))
    assert proxy.counts == {fault: 2}


def test_a_file_that_is_replaced_between_two_ranges_is_read_as_it_is_then(
    stored_vectors: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    after = stored_vectors.slice(1000)
    read_of_version = s3.read_of_version

    def replaced_before(*arguments: Any, **options: Any) -> bytes:
        storage.write_parquet(f"{ROOT}/t", after)
        return read_of_version(*arguments, **options)

    monkeypatch.setattr(s3, "read_of_version", replaced_before)
    assert storage.read_parquet(f"{ROOT}/t", ["id"]).equals(after.select(["id"]))


@pytest.mark.parametrize("fault", ["slow_down", "forbid"])
def test_a_range_that_is_refused_is_not_taken_for_damage(
    fault: Any, stored_vectors: pa.Table, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranged_file, "patiently", lambda call: retry.patiently(call, 1.0))
    proxy.reset(Rule(fault, skip=1))
    with pytest.raises((OSError, ClientError)):
        read_part(ROOT, "t", ["id"])


@pytest.mark.parametrize("change", [lambda d: d[:-40], lambda d: d[:4] + b"\xff" + d[5:]])
def test_damage_is_seen_in_what_is_read_by_range(
    change: Any, stored_vectors: pa.Table, proxy: FaultyProxy
) -> None:
    storage.write_bytes(f"{ROOT}/t", change(storage.read_bytes(f"{ROOT}/t")))
    with pytest.raises(UserError, match="t: this part of an artifact is damaged"):
        read_part(ROOT, "t", ["id"])


def test_the_tail_of_an_object_of_no_bytes(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    storage.write_bytes(f"{ROOT}/t", b"")
    with pytest.raises(UserError, match="t: this part of an artifact is damaged"):
        read_part(ROOT, "t", ["id"])

    def refused(*arguments: Any, **options: Any) -> Any:  # as S3 does, unlike the server here
        answer = ClientError({"Error": {"Code": "InvalidRange"}}, "GetObject")
        raise translate_boto_error(answer)

    monkeypatch.setattr(bucket, "call_s3", refused)
    assert s3.read_tail(bucket, "bucket/t", 1.0, num_bytes=10).num_bytes == 0


def test_sizes_are_listed_with_names() -> None:
    storage.write_bytes(f"{ROOT}/b/c", bytes(3))
    storage.write_bytes(f"{ROOT}/a", b"")
    assert storage.list_sizes(ROOT) == {"a": 0, "b/c": 3}


@pytest.mark.usefixtures("rows_inline")
def test_the_ids_of_a_finished_stage_cost_a_small_part_of_its_bytes(
    proxy: FaultyProxy, stored_vectors: pa.Table
) -> None:
    storage.delete(f"{ROOT}/t")
    made = run_embedding(stored_vectors)
    storage.delete(made.file("artifact.json"))
    num_parts = len(made.info["parts"])
    proxy.reset()
    again = run_embedding(stored_vectors)
    assert again.info["parts"] == made.info["parts"]
    assert proxy.bytes_sent < stored_vectors.nbytes / 50
    files = [request.path for request in proxy.requests if request.path.endswith(".parquet")]
    assert len(files) == len(set(files)) == num_parts == 8
    assert all("/ids/" in file for file in files)
    proxy.reset()
    assert sorted(again.read_ids("id").to_pylist()) == sorted(stored_vectors["id"].to_pylist())
    assert len(proxy.requests) == num_parts
    vectors = stored_vectors_of(again, "id")
    proxy.reset()
    known, found = find_vectors(vectors, stored_vectors["id"])
    assert known.all()
    np.testing.assert_array_equal(found, embedding_matrix(stored_vectors))
    assert len(proxy.requests) == num_parts


def run_embedding(rows: pa.Table) -> Artifact:
    def work(block: pa.Table) -> pa.Table:
        well = pa.array([""] * len(block))
        return block.append_column("error_kind", well).append_column("error_message", well)

    writer = ArtifactStore(ROOT).writer("image_embeddings", "embed", {}, inputs={})
    run_rows(
        rows,
        id_column="id",
        steps=[Step(make=lambda: work, batch_format="pyarrow")],
        schema=rows.schema,
        writer=writer,
        rows_per_part=256,
        unit="images",
        progress=Progress(),
    )
    return writer.publish(0)


def kind_of(uri: str, max_bytes: int = 100, patience_s: float = 3.0) -> str:
    with pytest.raises(ImageError) as caught:
        fetch(uri, max_bytes, patience_s)
    assert caught.value.message
    return caught.value.kind


def test_a_picture_costs_one_request(proxy: FaultyProxy) -> None:
    storage.write_bytes(f"{ROOT}/a.jpg", bytes(101))
    proxy.reset()
    assert fetch(f"{ROOT}/a.jpg", 101) == bytes(101)
    assert kind_of(f"{ROOT}/a.jpg", 100) == "too_large"
    assert kind_of(f"{ROOT}/no.jpg") == "missing"
    assert [request.method for request in proxy.requests] == ["GET"] * 3


def test_an_empty_picture_and_a_bucket_that_is_not_there() -> None:
    storage.write_bytes(f"{ROOT}/a.jpg", b"")
    assert kind_of(f"{ROOT}/a.jpg") == "empty"
    assert kind_of("s3://nobody/a.jpg") == "missing"


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("slow_down", "throttled"),
        ("reset", "network"),
        ("truncate", "network"),
        ("stall", "network"),
        ("stall_midway", "network"),
    ],
)
def test_what_does_not_pass_becomes_a_kind_that_may_be_tried_later(
    fault: Any, kind: str, proxy: FaultyProxy
) -> None:
    storage.write_bytes(f"{ROOT}/a.jpg", bytes(50))
    proxy.reset(Rule(fault))
    assert kind_of(f"{ROOT}/a.jpg") == kind
    assert len(proxy.requests) >= 2


def test_what_is_forbidden_is_not_asked_for_long(proxy: FaultyProxy) -> None:
    storage.write_bytes(f"{ROOT}/secret/a.jpg", bytes(50))
    storage.write_bytes(f"{ROOT}/b.jpg", bytes(50))
    proxy.reset(Rule("forbid", prefix="bucket/a team's root/secret/"))
    assert kind_of(f"{ROOT}/secret/a.jpg") == "forbidden"
    assert len(proxy.requests) == retry.FORBIDDEN_ATTEMPTS
    assert fetch(f"{ROOT}/b.jpg", 100)


def test_a_store_that_does_not_answer_is_not_taken_for_an_empty_one(
    proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "patiently", lambda call, _: retry.patiently(call, 1.0))
    monkeypatch.setattr(reachable, "CHECK_PATIENCE_S", 1.0)
    proxy.reset(Rule("slow_down"))
    for uri in (f"{ROOT}/a", "s3://bucket"):
        with pytest.raises((OSError, ClientError)):
            storage.exists(uri)
    assert why_missing(ROOT).startswith("cannot be reached")


def test_a_root_that_forbids_writing_deleting_or_listing_is_told(proxy: FaultyProxy) -> None:
    assert why_unwritable(ROOT) == ""
    assert list(storage.list_files(ROOT)) == []
    assert why_unwritable("s3://nobody/root") == "there is no bucket nobody"
    for methods, skip, doing in [
        (("PUT",), 0, "written to"),
        (("POST",), 0, "deleted from"),
        (("GET",), 0, "listed"),
    ]:
        proxy.reset(Rule("forbid", methods, skip=skip))
        why = why_unwritable(ROOT)
        assert why.startswith(f"must not be {doing} with these credentials"), why


def test_anonymous_access_signs_nothing(
    proxy: FaultyProxy, bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.write_text(f"{ROOT}/a", "a")
    assert all(request.is_signed for request in proxy.requests)
    _, _, key = ROOT.partition("bucket/")
    bucket.call_s3("put_object_acl", Bucket="bucket", Key=f"{key}/a", ACL="public-read")
    proxy.reset()
    conf: dict[str, Any] = {}
    fsspec.config.set_conf_env(conf, {"FSSPEC_S3_ANON": "true"})
    monkeypatch.setitem(fsspec.config.conf, "s3", conf["s3"])
    assert storage.read_text(f"{ROOT}/a") == "a"
    assert proxy.requests
    assert not any(request.is_signed for request in proxy.requests)


def test_the_region_and_a_role_come_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    role = {"Version": 1, "AccessKeyId": "of-the-role", "SecretAccessKey": "x"}
    (tmp_path / "role.json").write_text(json.dumps(role))
    (tmp_path / "config").write_text(
        f"[profile team]\ncredential_process = /bin/cat {tmp_path}/role.json\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "team")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    files = s3.filesystem()
    files.connect()
    assert files.s3.meta.region_name == "eu-west-1"
    storage.write_text(f"{ROOT}/a", "a")
    assert storage.read_text(f"{ROOT}/a") == "a"
    assert files.s3._request_signer._credentials.access_key == "of-the-role"


@pytest.mark.parametrize(
    ("uri", "holds"),
    [
        ("s3://AKIA:secret@bucket/a", True),
        ("s3://token@bucket/a", True),
        ("https://b.s3.amazonaws.com/a.jpg?X-Amz-Expires=60&X-Amz-Signature=abc", True),
        ("https://account.blob.core.windows.net/a.jpg?sv=1&sig=abc", True),
        ("s3://bucket/a@b.jpg", False),
        ("s3://bucket/a?b=c&signature", False),
        ("/data/a@b:c/x", False),
        ("gist_ray", False),
    ],
)
def test_credentials_in_a_uri_are_seen(uri: str, holds: bool) -> None:
    assert s3.holds_credentials(uri) is holds


def test_requests_have_bounds_and_jitter_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(fsspec.config.conf, "s3")
    files = s3.filesystem()
    files.connect()
    config = files.s3.meta.config
    assert (config.connect_timeout, config.read_timeout) == (5, 15)
    assert config.retries["mode"] == "standard"
    assert config.retries["total_max_attempts"] == 3
    assert files.retries == 1
    monkeypatch.setitem(fsspec.config.conf, "s3", {"config_kwargs": {"read_timeout": 60}})
    other = s3.filesystem()
    other.connect()
    assert other.s3.meta.config.read_timeout == 60
    assert other.s3.meta.config.connect_timeout == 5
