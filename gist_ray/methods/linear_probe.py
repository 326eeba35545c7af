"""The linear probe: L2 logistic regression on frozen image features, C chosen on val.

The search is CoOp's (lpclip/linear_probe.py of KaiyangZhou/CoOp): seven values of C, then a binary
search in log C over the decade on each side of the best. Our choices: features are L2-normalised
and scaled; equal val accuracies, the rule in few-shot, are decided by the lower val log-loss and
then the smaller C, where CoOp takes the larger C on the grid and the smaller one after it; the
result is the best of all C tried, where CoOp takes the last step's. Each fit starts from zero, as
in CoOp, and ends at its optimum, so that its result does not depend on the C tried before.
"""

from typing import Annotated

from pydantic import Field

from gist_ray.methods.base.images import require_images
from gist_ray.methods.base.linear_classifier import LinearClassifier
from gist_ray.methods.base.logistic import LogisticConfig, Rows, best_c, logistic_fits
from gist_ray.methods.base.method import Method
from gist_ray.methods.base.problem import Problem
from gist_ray.settings.declare import settings

C_WITHOUT_VAL = 1.0
"""Used when there is no val image to choose by: scikit-learn's default. Our choice."""


@settings
class LinearProbeConfig(LogisticConfig):
    num_search_steps: Annotated[int, Field(ge=0)] = 8
    """Halvings of the range of log C around the best of the coarse grid, 0 or more. CoOp's
    value."""


def fit(problem: Problem, config: LinearProbeConfig) -> LinearClassifier:
    """Returns the probe fitted on train with the C that is best on val.

    Without val images C is 1. The fit is deterministic. Raises UserError without training images.
    """
    require_images(problem, "the linear probe")
    rows = Rows(problem.train.features, problem.train.labels)
    fit_with = logistic_fits(rows, problem.num_classes, config)
    if not len(problem.val.labels):
        return fit_with(C_WITHOUT_VAL)
    return best_c(fit_with, problem.val, config.num_search_steps)


METHOD = Method(
    name="linear_probe",
    label="linear probe",
    meaning="L2 logistic regression on the training images' features, C chosen on val",
    source="CoOp lpclip/linear_probe.py; Radford et al. 2021, section 3.2",
    config=LinearProbeConfig,
    fit=fit,
    classifier=LinearClassifier,
    needs=frozenset({"labels", "val"}),
    varies=frozenset({"shots", "seed"}),
)
