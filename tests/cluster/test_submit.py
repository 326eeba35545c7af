"""Jobs by submission on a cluster of three nodes, as on KubeRay: no CPUs on the head, a token."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from PIL import Image

from tests.end_to_end.conftest import TINY_STAGES

PROJECT = Path(__file__).parents[2]
LOCAL, SUBMIT = PROJECT / "cluster" / "local.sh", PROJECT / "cluster" / "submit"
JOBS = sorted(path.name for path in (PROJECT / "jobs").glob("*.py"))

TINY = [
    "name=tiny",
    "data.seed=401",
    "data.num_genera=2",
    "data.species_per_genus=2",
    "data.train_per_species=6",
    "data.val_per_species=2",
    "data.test_per_species=4",
    *TINY_STAGES,
]


class Cluster:
    """A cluster that is up; its state folder holds nothing but it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "PYTHONPATH"))}
        self.env = {**kept, "GIST_RAY_CLUSTER": str(folder), "PYTHON": sys.executable}

    def local(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([LOCAL, *words], env=self.env, capture_output=True, text=True)

    @property
    def state(self) -> dict[str, Any]:
        return json.loads((self.folder / "default" / "nodes.json").read_text())

    @property
    def access(self) -> dict[str, str]:
        return {
            **self.env,
            "RAY_API_SERVER_ADDRESS": self.state["dashboard"],
            "RAY_AUTH_TOKEN_PATH": self.state["token_file"],
        }

    def submit(self, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [SUBMIT, *words], env={**self.access, **env}, capture_output=True, text=True
        )

    def run_job(self, job: str, *words: str) -> subprocess.CompletedProcess[str]:
        return self.submit("--", "python", f"jobs/{job}", *words)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    done = cluster.local("up", "2", "--cpus-per-node=3")
    assert done.returncode == 0, done.stderr
    yield cluster
    cluster.local("down")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder that all nodes see."""
    return str(tmp_path_factory.mktemp("root"))


@pytest.fixture(scope="module")
def texts_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Texts that are ready spare the language model."""
    texts = tmp_path_factory.mktemp("texts") / "texts.json"
    write_texts(texts)
    return texts


@pytest.fixture(scope="module")
def finished_run(cluster: Cluster, root: str, texts_file: Path) -> subprocess.CompletedProcess[str]:
    """The pipeline, submitted."""
    return cluster.run_job("run.py", f"root={root}", f"texts.import_from={texts_file}", *TINY)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of two pictures."""
    folder = tmp_path_factory.mktemp("pictures")
    for at, name in enumerate(("red", "blue", "red", "blue")):
        (folder / name).mkdir(exist_ok=True)
        Image.new("RGB", (8, 8), name).save(folder / name / f"{at}.png")
    return folder


def write_texts(path: Path) -> None:
    from gist_ray.demo.butterflies.config import WorldConfig
    from gist_ray.demo.butterflies.species import make_species

    numbers = dict(re.findall(r"^data\.(\w+)=(\d+)$", "\n".join(TINY), re.MULTILINE))
    world = WorldConfig(**{name: int(value) for name, value in numbers.items()})
    texts = {kind.name: [f"The {kind.name} sits on a leaf."] for kind in make_species(world)}
    path.write_text(json.dumps(texts))


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("job", JOBS)
def test_every_job_runs_by_submission(
    job: str,
    cluster: Cluster,
    root: str,
    texts_file: Path,
    finished_run: subprocess.CompletedProcess[str],
    pictures: Path,
    tmp_path: Path,
) -> None:
    words = {
        "pretrain.py": [
            f"root={tmp_path}",
            "num_pictures=8",
            "num_held_out=3",
            "num_val=2",
            "num_merges=50",
            "finetune.num_steps=1",
            "finetune.batch_size=8",
        ],
        "sweep.py": [
            "sweep=k_shots_seeds",
            "sweep.space.matching.k=[1]",
            "sweep.space.study.shots=[2]",
            "sweep.space.study.seeds=[1]",
            f"root={root}",
            f"texts.import_from={texts_file}",
            *[word for word in TINY if not word.startswith(("study.shots", "study.seeds"))],
            "name=tiny-sweep",
        ],
        "audit.py": [f"root={root}", *[word for word in TINY if word.startswith("data.")]],
        "pack.py": [f"data.path={pictures}", f"out={tmp_path}/packed"],
        "status.py": [root, "--run=tiny"],
        "retry_failed.py": [root, "--run=tiny", "--plan"],
        "clean.py": [root, "--dry-run"],
        "export.py": [f"run={root}/runs/tiny", f"out={tmp_path}/classifier"],
        "predict.py": [
            f"classifier={tmp_path}/classifier",
            f"images={pictures}",
            f"out={tmp_path}/predictions",
        ],
    }
    if job == "predict.py":
        exported = cluster.run_job("export.py", *words["export.py"])
        assert exported.returncode == 0, exported.stdout + exported.stderr
    done = finished_run if job == "run.py" else cluster.run_job(job, *words[job])
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.long
def test_a_submitted_run_leaves_its_report_and_says_so(root, finished_run):
    assert f"Report: {root}/runs/tiny/report.html" in finished_run.stdout
    assert Path(root, "runs", "tiny", "report.html").is_file()


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.long
def test_the_log_is_followed_and_the_code_is_on_every_node(cluster, tmp_path):
    script, go = tmp_path / "probe.py", tmp_path / "go"
    script.write_text(
        "import os, sys, time, gist_ray\n"
        "from gist_ray.run.cluster import connect, on_every_node, require_shared\n"
        "from gist_ray.errors import UserError\n"
        "connect()\n"
        "def imported():\n"
        "    import gist_ray\n"
        "    return gist_ray.__file__, os.environ['OMP_WAIT_POLICY'], os.environ['WITH']\n"
        "print('here', gist_ray.__file__)\n"
        "for node, (file, policy, given) in on_every_node(imported):\n"
        "    print('node', node, file, policy, given)\n"
        # A folder that exists in this one process.
        "own = f'/proc/self/task/{os.getpid()}'\n"
        f"try: require_shared({{'root': own, 'data.path': {str(tmp_path)!r}}})\n"
        "except UserError as error: print('problems', error.problems)\n"
        "print('waiting')\n"
        f"while not os.path.exists({str(go)!r}): time.sleep(0.1)\n"
        "sys.exit(7)\n"
    )
    # A variable that connect() would set too: Ray refuses a job whose driver sets it anew.
    variables = ["--env=OMP_WAIT_POLICY=active", "--env=WITH=this"]
    command = [SUBMIT, *variables, "--", "python", str(script)]
    with subprocess.Popen(command, env=cluster.access, stdout=subprocess.PIPE, text=True) as job:
        assert job.stdout is not None
        said = []
        for line in job.stdout:
            said.append(line.split())
            if line.strip() == "waiting":
                go.touch()
    assert job.returncode == 7
    nodes = {words[1]: words[2:] for words in said if words[:1] == ["node"]}
    assert nodes.keys() == {"head", "worker1", "worker2"}
    places = {Path(file) for file, _, _ in nodes.values()}
    places |= {Path(words[1]) for words in said if words[:1] == ["here"]}
    assert all("working_dir_files" in place.parts for place in places), places
    assert {tuple(rest) for _, *rest in nodes.values()} == {("active", "this")}
    (problems,) = (" ".join(words) for words in said if words[:1] == ["problems"])
    assert "3 of 3 nodes of the cluster do not see this folder" in problems
    assert "data.path" not in problems


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.long
def test_too_many_failed_rows_are_exit_code_1_here_too(cluster, root, pictures):
    table = pictures / "images.csv"
    files = sorted(path.relative_to(pictures) for path in pictures.glob("*/*.png"))
    rows = [f"{file},{file.parent}" for file in files]
    table.write_text("\n".join(["image,class_name", *rows, "red/9.png,"]) + "\n")
    done = cluster.run_job(
        "run.py",
        f"root={root}",
        "data=manifest",
        f"data.path={table}",
        "prompts=generic",
        "finetune.select_by=last",
        "--until=manifest",
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 of 5 rows failed" in done.stdout
    assert "The same command goes on from what is stored" in done.stderr


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.long
def test_a_relative_root_is_refused_with_exit_code_2(cluster):
    done = cluster.run_job("run.py", "root=results", "--plan")
    assert done.returncode == 2
    assert "root=results: in a submitted job" in done.stdout


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.long
def test_a_job_can_be_left_come_back_to_and_stopped(cluster):
    sleeping = ["python", "-c", "import time; time.sleep(600)"]
    left = cluster.submit("--no-wait", "--submission-id=sleeper", "--", *sleeping)
    assert left.returncode == 0
    assert "cluster/submit --follow sleeper" in left.stdout
    assert cluster.submit("--stop=sleeper").returncode == 0
    assert cluster.submit("--follow=sleeper").returncode == 130
    unknown = cluster.submit("--follow=nobody")
    assert unknown.returncode == 2
    assert "nobody does not exist" in unknown.stderr


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.long
def test_a_wrong_token_is_refused_in_words(cluster, tmp_path):
    wrong = tmp_path / "token"
    wrong.write_text("0" * 64)
    done = cluster.submit("--", "true", RAY_AUTH_TOKEN_PATH=str(wrong))
    assert done.returncode == 2
    assert "does not take the token" in done.stderr
    assert "0" * 64 not in done.stdout + done.stderr


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.long
def test_a_cluster_that_is_up_is_left_alone(cluster):
    token = Path(cluster.state["token_file"])
    assert token.stat().st_mode & 0o777 == 0o600
    pids = [node["pid"] for node in cluster.state["nodes"]]
    again = cluster.local("up", "1")
    assert again.returncode == 1
    assert "is up already" in again.stderr
    assert [psutil.Process(pid).name() for pid in pids] == ["raylet"] * 3


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.long
def test_down_ends_this_cluster_and_no_other_ray(cluster, ray_local):
    """Last of this module, as it takes the cluster."""
    own, others = raylets(cluster), raylets() - raylets(cluster)
    assert len(own) == 3
    assert others
    temporary = Path(cluster.state["temp_dir"])
    assert cluster.local("down").returncode == 0
    assert not raylets(cluster)
    assert all(psutil.pid_exists(pid) for pid in others)
    assert not temporary.exists()
    assert not [p for p in psutil.process_iter() if str(temporary) in " ".join(words_of(p))]
    assert not (cluster.folder / "default").exists()


def raylets(cluster: Cluster | None = None) -> set[int]:
    """Pids of raylets: of `cluster`, or all."""
    place = str(cluster.folder) if cluster else ""
    processes = psutil.process_iter(["name"])  # others end while they are looked at
    return {p.pid for p in processes if p.info["name"] == "raylet" and place in marked(p)}


def marked(process: psutil.Process) -> str:
    try:
        return process.environ().get("GIST_RAY_CLUSTER_STATE", "")
    except psutil.Error:
        return ""


def words_of(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
