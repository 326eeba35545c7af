"""Classifiers over features, one module each. A new one is its module, a line here, and
configs/methods/<name>.yaml."""

from gist_ray.methods import (
    linear_probe,
    nearest_class_mean,
    sgd_probe,
    zero_shot_best_texts,
    zero_shot_name,
    zero_shot_texts,
)
from gist_ray.methods.method import Method

METHODS: dict[str, Method] = {
    module.METHOD.name: module.METHOD
    for module in (
        linear_probe,
        sgd_probe,
        nearest_class_mean,
        zero_shot_name,
        zero_shot_texts,
        zero_shot_best_texts,
    )
}
