"""Settings that are absurd, or that reach for what is not theirs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors.torch import save

from gist_ray.encoders.clip import embedded_folder
from tests.badinput.kinds import Kind

SECRET = "do-not-print-me"
"""Value of the environment variable GIST_RAY_TEST_SECRET while these are tried."""


@dataclass(frozen=True, kw_only=True)
class BadConfig(Kind):
    """Words of a command line, refused at plan with exit code 2 and this sentence (a regular
    expression). `{grounds}` stands for a folder with the data set `data` in it."""

    words: tuple[str, ...]
    says: str
    files: Mapping[str, Callable[[], bytes]] = field(default_factory=dict)
    """{path below the grounds: its content}"""


REFUSED = "refused at plan, exit code 2"
MODEL_CONFIG = "open_clip_config.json"


def _hugging_face_names() -> bytes:
    names = [f"text_model.encoder.layers.{number}.layer_norm1.weight" for number in range(400)]
    names.append("text_model.embeddings.token_embedding.weight")
    return save({name: torch.zeros(1) for name in names})


NOT_OUTSIDE = "a config may not read the environment"

KINDS: list[BadConfig] = [
    BadConfig(
        name="config: _target_",
        happens=f"{REFUSED}: nothing is ever called by its name in a config",
        words=("+finetune._target_=os.system",),
        says=r"finetune\._target_: there is no such setting",
    ),
    BadConfig(
        name="config: the environment in a setting",
        happens=f"{REFUSED}: a config is stored with every run, and a secret would be with it",
        words=("root={grounds}/${oc.env:GIST_RAY_TEST_SECRET}",),
        says=rf"root=.*GIST_RAY_TEST_SECRET.*: {NOT_OUTSIDE}",
    ),
    BadConfig(
        name="config: the environment in a list",
        happens=REFUSED,
        words=("prompts.zero_shot_templates=['${oc.env:GIST_RAY_TEST_SECRET} {{ name }}']",),
        says=rf"prompts\.zero_shot_templates=.*: {NOT_OUTSIDE}",
    ),
    BadConfig(
        name="config: an interpolation of nothing",
        happens=REFUSED,
        words=("root=${nowhere.at_all}",),
        says=r"The config does not compose: .*nowhere",
    ),
    BadConfig(
        name="config: a line that is no override",
        happens=REFUSED,
        words=("study.seeds=[unclosed",),
        says=r"The command line cannot be read: study\.seeds=\[unclosed: .*write it in quotes",
    ),
    BadConfig(
        name="config: not a number",
        happens=REFUSED,
        words=("finetune.learning_rate=nan",),
        says=r"finetune\.learning_rate=nan: Input should be",
    ),
    BadConfig(
        name="config: infinite",
        happens=REFUSED,
        words=("finetune.learning_rate=inf",),
        says=r"finetune\.learning_rate=inf: Input should be a finite number",
    ),
    BadConfig(
        name="config: zero and below",
        happens=f"{REFUSED}: all of them at once",
        words=("embed.batch_size=0", "study.shots=[-1]", "matching.k=0"),
        says=r"(?s)\A(?=.*embed\.batch_size=0)(?=.*study\.shots\.0=-1)(?=.*matching\.k=0)",
    ),
    BadConfig(
        name="config: a seed of 30 digits",
        happens=f"{REFUSED}: a table's column could not hold it",
        words=("study.seeds=[" + "9" * 30 + "]",),
        says=r"study\.seeds\.0=9+: Input should be less than or equal to 2147483647",
    ),
    BadConfig(
        name="config: more CPUs than there are",
        happens=REFUSED,
        words=("embed.cpus_per_worker=100000",),
        says=r"embed\.cpus_per_worker asks for 100000 CPUs and this machine gives Ray",
    ),
    BadConfig(
        name="config: a run called ../up",
        happens=f"{REFUSED}: a name is one folder's name",
        words=("name=../up",),
        says=r"name='\.\./up': String should match pattern",
    ),
    BadConfig(
        name="config: root=/",
        happens=REFUSED,
        words=("root=/",),
        says=r"root=/: has to be a folder of its own",
    ),
    BadConfig(
        name="config: no root",
        happens=f"{REFUSED}: it would be the working folder",
        words=("root=''",),
        says=r"root=: has to be a folder of its own",
    ),
    BadConfig(
        name="config: root=~/results",
        happens=f"{REFUSED}: it would be a folder called ~",
        words=("root='~/results'",),
        says=r"root=~/results: has to be a folder of its own, written out",
    ),
    BadConfig(
        name="config: root inside the data set",
        happens=f"{REFUSED}: a data set is only read",
        words=("root={grounds}/data/results",),
        says=r"root=.*/data/results: lies in the data set",
    ),
    BadConfig(
        name="config: a model's folder that is none",
        happens=REFUSED,
        words=("clip.model=local-dir:{grounds}/data",),
        says=r"there is no open_clip_config\.json in",
    ),
    BadConfig(
        name="config: weights under another program's names",
        happens=f"{REFUSED}: three names, the counts, and what the file looks like; prefixes and "
        "wrappers of training programs are taken off",
        words=("clip.model=local-dir:{grounds}/model",),
        says=r"(?s)\A.{0,900}Its names are those of Hugging Face's CLIPModel.{0,200}\Z",
        files={
            "model/open_clip_model.safetensors": _hugging_face_names,
            f"model/{MODEL_CONFIG}": lambda: Path(embedded_folder(), MODEL_CONFIG).read_bytes(),
        },
    ),
    BadConfig(
        name="config: an epoch chosen on val, and no val images",
        happens=f"{REFUSED}: names the setting to train without",
        words=("data.val_fraction=0", "study.trainings=[gist]", "finetune.select_by=probe"),
        says=r"finetune\.select_by=probe: .*set finetune\.select_by=last",
    ),
    BadConfig(
        name="config: a data set that is not there",
        happens=REFUSED,
        words=("data.path='{grounds}/\x1b[2Jnowhere'",),
        says=r"data\.path=.*x1b.*nowhere: there is no such file or folder",
    ),
]
