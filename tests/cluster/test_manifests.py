"""What a cluster is made from says the same as pyproject.toml, and nothing that is unknown."""

import copy
import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import ray
import yaml

from gist_ray.settings.check import build
from gist_ray.settings.commandline import compose_values
from gist_ray.study.config import RunConfig

PROJECT = Path(__file__).parents[2]
CLUSTER = PROJECT / "cluster"
KUBERAY = CLUSTER / "kuberay"
PYPROJECT = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
FIELDS = json.loads((Path(__file__).parent / "kuberay_fields.json").read_text())

TYPES: dict[str, Any] = {
    "string": str,
    "integer": int,
    "boolean": bool,
    "int-or-string": (int, str),
}


def documents(name: str) -> dict[str, dict[str, Any]]:
    """{kind: document} of a manifest."""
    return {d["kind"]: d for d in yaml.safe_load_all((KUBERAY / name).read_text())}


def cluster_specs() -> dict[str, dict[str, Any]]:
    return {
        "raycluster": documents("raycluster.yaml")["RayCluster"]["spec"],
        "rayjob": documents("rayjob.yaml")["RayJob"]["spec"]["rayClusterSpec"],
    }


def pods(spec: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """{group: pod spec} of a cluster."""
    groups = {"head": spec["headGroupSpec"]}
    groups |= {group["groupName"]: group for group in spec["workerGroupSpecs"]}
    return {name: group["template"]["spec"] for name, group in groups.items()}


def problems(value: Any, known: Any, where: str) -> Iterator[str]:
    """What of `value` the published definition does not know; `known` is a place of FIELDS."""
    if isinstance(known, str):
        known = FIELDS[known]
    if "fields" in known:
        for name in value:
            if name not in known["fields"]:
                listed = "but not in FIELDS in full" if name in known["unused"].split() else ""
                yield f"{where}.{name}: unknown {listed}"
        for name in known.get("required", []):
            if name not in value:
                yield f"{where}.{name}: required"
        for name in value.keys() & known["fields"].keys():
            yield from problems(value[name], known["fields"][name], f"{where}.{name}")
    elif "items" in known:
        for at, item in enumerate(value):
            yield from problems(item, known["items"], f"{where}[{at}]")
    elif "map" in known:
        for name, item in value.items():
            yield from problems(item, {"type": known["map"]}, f"{where}.{name}")
    elif not isinstance(value, TYPES[known["type"]]):
        yield f"{where}: {value!r} is no {known['type']}"
    elif value not in known.get("enum", [value]):
        yield f"{where}: {value!r} is none of {known['enum']}"


@pytest.mark.parametrize(("file", "kind"), [("raycluster", "RayCluster"), ("rayjob", "RayJob")])
def test_kuberay_knows_every_field(file, kind):
    document = documents(f"{file}.yaml")[kind]
    assert document["apiVersion"] == "ray.io/v1"
    assert not list(problems(document["spec"], FIELDS[kind], kind))


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("workerGroup",), [], "RayCluster.workerGroup: unknown"),
        (("authOptions", "mode"), "secret", "is none of"),
        (("headGroupSpec", "template", "spec", "volume"), [], "spec.volume: unknown"),
        (("autoscalerOptions", "idleTimeoutSeconds"), "300", "is no integer"),
        (("headGroupSpec", "rayStartParams", "num-cpus"), 0, "is no string"),
    ],
)
def test_a_field_that_kuberay_does_not_know_is_found(path, value, said):
    spec = copy.deepcopy(cluster_specs()["raycluster"])
    place = spec
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    (problem,) = problems(spec, FIELDS["RayCluster"], "RayCluster")
    assert said in problem


@pytest.mark.parametrize("name", ["raycluster", "rayjob"])
def test_a_cluster_on_kuberay_is_made_as_ray_wants_it(name):
    spec = cluster_specs()[name]
    assert spec["authOptions"] == {"mode": "token"}
    assert spec["enableInTreeAutoscaling"]
    assert spec["autoscalerOptions"]["version"] == "v2"
    assert spec["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    groups = pods(spec)
    assert groups.keys() == {"head", "cpu", "gpu"}
    for group, pod in groups.items():
        assert pod["restartPolicy"] == "Never"
        assert pod["serviceAccountName"] == "gist-ray"
        (container,) = pod["containers"]
        resources = container["resources"]
        assert resources["requests"] == resources["limits"]
        assert ("nvidia.com/gpu" in resources["limits"]) == (group == "gpu")
        assert container["image"].endswith(":2.60.0-gpu" if group == "gpu" else ":2.60.0-cpu")
        volumes = {volume["name"]: volume["emptyDir"] for volume in pod["volumes"]}
        mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
        assert volumes[mounts["/dev/shm"]]["medium"] == "Memory"
        # 30 % of the memory is what Ray takes for its store, if there is room for so much
        assert gib(volumes[mounts["/dev/shm"]]["sizeLimit"]) >= 0.3 * gib(
            resources["limits"]["memory"]
        )
        # The autoscaler's container mounts a volume of this name, or KubeRay adds one of its own.
        assert mounts["/tmp/ray"] == "ray-logs"
        assert "ray-logs" in volumes


def test_the_run_on_kuberay_has_the_groups_of_the_standing_cluster():
    specs = cluster_specs()
    assert specs["rayjob"] == specs["raycluster"]


def test_everything_names_the_ray_that_is_pinned():
    requirements = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"][
        "dependencies"
    ]
    (pinned,) = (r.partition("==")[2] for r in requirements if r.startswith("ray["))
    assert pinned == ray.__version__
    assert {spec["rayVersion"] for spec in cluster_specs().values()} == {pinned}
    texts = [path.read_text() for path in (CLUSTER / "Dockerfile", *CLUSTER.rglob("*.yaml"))]
    tags = {
        tag for text in texts for tag in re.findall(r"(?:rayproject/ray|gist-ray):(\d[\w.]*)", text)
    }
    assert tags == {pinned}


def test_the_command_of_the_run_composes_and_its_job_is_in_the_image():
    words = shlex.split(documents("rayjob.yaml")["RayJob"]["spec"]["entrypoint"])
    assert words[0] == "python"
    folder = re.findall(r"^WORKDIR (.*)$", (CLUSTER / "Dockerfile").read_text(), re.MULTILINE)[-1]
    job = Path(words[1]).relative_to(folder)
    assert (PROJECT / job).is_file()
    config = build(RunConfig, compose_values("config", words[2:]))
    assert config.root.startswith("s3://")
    # "auto" would take the CPU while the group of GPUs is scaled to nothing.
    assert config.llm.gpus_per_replica == 1


def test_ray_up_takes_the_cluster_on_ec2():
    from ray.autoscaler._private.util import prepare_config

    config = yaml.safe_load((CLUSTER / "aws.yaml").read_text())
    schema = json.loads((Path(ray.__file__).parent / "autoscaler" / "ray-schema.json").read_text())
    jsonschema.validate(config, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**config, "initial_workers": 2}, schema)
    prepared = prepare_config(copy.deepcopy(config))
    types = prepared["available_node_types"]
    assert types[prepared["head_node_type"]]["resources"]["CPU"] == 0
    assert sum(kind["max_workers"] for kind in types.values()) <= prepared["max_workers"]
    for name, kind in types.items():
        assert "IamInstanceProfile" in kind["node_config"], name
    assert "RAY_AUTH_MODE=token" in " ".join(prepared["docker"]["run_options"])
    assert "/home/ray/.ray/auth_token" in prepared["file_mounts"]


def test_the_image_copies_what_is_there_and_runs_as_an_ordinary_user():
    instructions = [
        line.split()
        for line in (CLUSTER / "Dockerfile").read_text().replace("\\\n", "").splitlines()
        if line and not line.startswith("#")
    ]
    for name, *words in instructions:
        if name == "COPY":
            *sources, _ = (word for word in words if not word.startswith("--"))
            for source in sources:
                assert (PROJECT / source).exists(), source
                assert (
                    f"!{Path(source).parts[0]}"
                    in (CLUSTER / "Dockerfile.dockerignore").read_text().split()
                )
    assert [words[0] for name, *words in instructions if name == "USER"] == ["ray"]
    (defaults,) = (words[0] for name, *words in instructions if name == "ARG" and "=" in words[0])
    assert defaults == "DEVICE=cpu"
    assert {"cpu", "gpu", "demo"} <= PYPROJECT["optional-dependencies"].keys()


def test_nothing_that_makes_a_cluster_holds_a_secret():
    secret = re.compile(r"AKIA[0-9A-Z]{16}|aws_secret|AWS_SECRET|PRIVATE KEY|RAY_AUTH_TOKEN=\S")
    files = [CLUSTER / "Dockerfile", CLUSTER / "aws.yaml", *KUBERAY.glob("*.yaml")]
    assert not [path for path in files if secret.search(path.read_text())]


def gib(quantity: str) -> float:
    assert quantity.endswith("Gi")
    return float(quantity.removesuffix("Gi"))
