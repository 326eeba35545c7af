"""The CPUs and GPUs of a stage. Settings import this module, so it imports nothing slow."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Resources:
    """CPUs and GPUs that a stage keeps busy, and the settings that say so, for messages."""

    cpus: float = 1
    gpus: float = 0
    cpus_from: str = ""
    """Such as "finetune.num_workers x finetune.cpus_per_worker"."""
    gpus_from: str = ""
