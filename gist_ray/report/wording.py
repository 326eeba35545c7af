"""Names of methods and metrics, for the page and the terminal."""

from gist_ray.methods import METHODS
from gist_ray.report.data import Pair

TRAININGS = {
    "frozen": "frozen",
    "class_name": "class name",
    "random": "random text",
    "all": "all texts",
    "any_class": "any class",
    "gist": "GIST",
}
TRAINING_MEANINGS = {
    "frozen": "CLIP as it came, no fine-tuning",
    "class_name": "fine-tuned on captions made from the class name alone",
    "random": "fine-tuned on texts of the image's class drawn at random",
    "all": "fine-tuned on all texts of the image's class",
    "any_class": "fine-tuned on the best texts of any class: labels are not kept",
    "gist": "fine-tuned on the texts of the image's class that match the image best",
}
IMPORTED_PAIRS = "fine-tuned on the captions that were imported with the image"
METRIC_NAMES = {
    "top1": "top-1 accuracy",
    "top3": "top-3 accuracy",
    "top5": "top-5 accuracy",
    "mean_per_class": "mean per-class accuracy",
    "macro_f1": "macro F1",
    "ece": "expected calibration error",
}
LOWER_IS_BETTER = {"ece"}


def training_label(training: str) -> str:
    return TRAININGS.get(training, training)


def training_meanings(*, pairs_imported: bool) -> dict[str, str]:
    """Returns {training: its explanation}. pairs_imported: `gist` trained on the pairs of an
    imported file."""
    return {**TRAINING_MEANINGS, **({"gist": IMPORTED_PAIRS} if pairs_imported else {})}


def head_label(method: str) -> str:
    return METHODS[method].label if method in METHODS else method


def marked_label(method: str) -> str:
    """Returns the name with "(val)" behind it where val chooses a setting: not only in the forms
    that are called so, in the linear and the SGD probe, too."""
    label = head_label(method)
    chosen = method in METHODS and "val" in METHODS[method].needs
    return f"{label} (val)" if chosen and not label.endswith("(val)") else label


def pair_label(pair: Pair) -> str:
    """Returns a name such as "GIST + linear probe"."""
    features, method = pair
    return f"{training_label(features)} + {head_label(method)}"


def split_label(split: str) -> str:
    """Returns the name of a split's images."""
    return f"the {split} images" if split in ("test", "val") else f"the images of {split}"


def about_no_test(num_val: int) -> str:
    """Returns the sentences on a data set without test images. num_val: its labelled val images."""
    said = "No test set: nothing is measured on images that no choice has seen."
    if not num_val:
        return f"{said} There are no val images either, so that nothing is measured at all."
    return (
        f"{said} The {num_val:,} val images serve for choices (an epoch, a regularisation, a "
        "method), so that accuracies on them are too high to be expected of new images."
    )


def metric_label(metric: str) -> str:
    return METRIC_NAMES.get(metric, metric)


def shots_label(shots: int | None) -> str:
    if shots is None:
        return "all images"
    return "1 shot" if shots == 1 else f"{shots} shots"


def similarity(value: float, signed: bool = False) -> str:
    return (f"{value:+.3f}" if signed else f"{value:.3f}").replace("-", "−")


def at_shots(shots: int | None) -> str:
    return f"{'with' if shots is None else 'at'} {shots_label(shots)}"
