"""`gist-ray audit`."""

import argparse
from typing import TYPE_CHECKING

from gist_ray.commands.configured import Work, add_plan_argument, configured

if TYPE_CHECKING:
    from gist_ray.audit.config import AuditConfig


def audit_config() -> "type[AuditConfig]":
    from gist_ray.audit.config import AuditConfig

    return AuditConfig


def run(config: "AuditConfig", arguments: argparse.Namespace) -> None:
    from gist_ray.audit.job import audit_job
    from gist_ray.run.run_job import run_job

    run_job(audit_job(config), plan_only=arguments.plan)


COMMAND = configured(
    "audit",
    "Look for copies, wrong labels, odd pictures and leaks in a labelled image collection",
    Work("audit", audit_config, run, add_plan_argument),
    examples="""
gist-ray audit data=image_folder data.path=/data/leaves clip=vit_b_32
gist-ray audit data=manifest data.path=birds.csv data.group_column=burst texts.import_from=t.json
gist-ray audit data=cub data.path=s3://bucket/CUB_200_2011 root=s3://bucket/gist name=cub-audit
""",
    about="""\
Writes a page with pictures side by side, Parquet, and exclude.csv for data.exclude (docs/audit.md).
With the root of a study nothing is embedded anew.""",
)
