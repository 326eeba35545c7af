"""Makes a classifier of a finished run: a folder with the model, one head calibrated on val, class
names and texts, which needs nothing else. The head is chosen by val unless it is named."""

import argparse

from gist_ray.predict.config import ExportConfig
from gist_ray.settings.commandline import main


def run(config: ExportConfig, arguments: argparse.Namespace) -> None:
    from gist_ray.predict.export import export_classifier  # torch only once the config is right

    about = export_classifier(config).about
    print(f"Classifier: {config.out} ({about['training']}, {about['head']}; val: {about['val']})")


if __name__ == "__main__":
    main(__doc__ or "", "export", ExportConfig, run)
