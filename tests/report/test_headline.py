import pytest

from gist_ray.report.headline import headline, verdict


def difference(low, high, mean=0.045, shots=5, metric="top1", per_seed=(0.03, 0.06), **changes):
    return {
        "features_a": "gist",
        "method_a": "linear_probe",
        "features_b": "frozen",
        "method_b": "linear_probe",
        "split": "test",
        "shots": shots,
        "metric": metric,
        "mean": mean,
        "ci_low": low,
        "ci_high": high,
        "per_seed": list(per_seed),
        "detectable": 0.031,
        "p_value": 0.01,
        "p_holm": None,
        **changes,
    }


def summary():
    means = {"gist": 0.708, "frozen": 0.663}
    return [
        {
            "features": features,
            "method": "linear_probe",
            "split": "test",
            "shots": 5,
            "metric": "top1",
            "mean": mean,
            "ci_low": None,
            "ci_high": None,
            "num_seeds": 2,
        }
        for features, mean in means.items()
    ]


@pytest.mark.parametrize(
    ("low", "high", "metric", "expected"),
    [
        (0.021, 0.069, "top1", "better"),
        (-0.01, 0.069, "top1", "undecided"),
        (0.0, 0.069, "top1", "undecided"),
        (-0.07, -0.01, "top1", "worse"),
        # a smaller calibration error is the better one
        (-0.07, -0.01, "ece", "better"),
        (0.01, 0.02, "ece", "worse"),
        (None, None, "top1", "no interval"),
    ],
)
def test_verdict_follows_the_interval(low, high, metric, expected):
    assert verdict(difference(low, high, metric=metric)) == expected


def test_sentence_at_the_largest_number_of_shots(make_report_data):
    differences = [difference(0.021, 0.069), difference(0.1, 0.2, mean=0.15, shots=1)]
    found = headline(make_report_data(differences=differences, summary=summary()))
    assert found.sentence.replace("\N{NO-BREAK SPACE}", " ") == (
        "GIST + linear probe 70.8 % against 66.3 % frozen at 5 shots: +4.5 points [2.1, 6.9]"
    )
    assert "2 paired seeds" in found.explanation


def test_only_the_shown_test_set_counts(make_report_data):
    differences = [difference(0.021, 0.069), difference(0.1, 0.2, mean=0.15, shots=9)]
    differences[1]["split"] = "test/night"
    means = [*summary(), *({**row, "split": "test/night", "mean": 0.1} for row in summary())]
    given = {"differences": differences, "summary": means}
    assert "70.8" in headline(make_report_data(**given)).sentence
    night = headline(make_report_data(**given, split="test/night")).sentence
    assert night.endswith("at 9 shots: +15.0 points [10.0,\N{NO-BREAK SPACE}20.0]")


def test_all_images_count_as_the_largest_number_of_shots(make_report_data):
    differences = [difference(0.02, 0.06, shots=5), difference(0.1, 0.2, shots=None)]
    found = headline(make_report_data(differences=differences, summary=summary()))
    assert "frozen with all images: +4.5 points [10.0," in found.sentence


def test_an_interval_with_zero_is_said_plainly(make_report_data):
    differences = [difference(-0.01, 0.069)]
    found = headline(make_report_data(differences=differences, summary=summary()))
    assert "[−1.0," in found.sentence
    assert "interval includes zero: this run does not show" in found.explanation


def test_what_could_have_been_shown_and_the_correction_for_many_are_told(make_report_data):
    def told(**changes):
        rows = [difference(0.021, 0.069, **changes)] * 2
        return headline(make_report_data(differences=rows, summary=summary())).explanation

    assert "It could have shown a difference of 3.1 points or more." in told()
    assert "could have shown" not in told(detectable=None)
    assert "does not stand Holm's correction for the 2 differences" in told(p_holm=0.06)
    assert "Holm" not in told(p_holm=0.04)
    assert "Holm" not in told()


def test_a_pair_not_compared_has_no_headline(make_report_data):
    assert headline(make_report_data(differences=[])) is None
