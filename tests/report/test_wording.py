from gist_ray.report.wording import pair_label


def test_methods_known_and_unknown():
    assert pair_label(("gist", "linear_probe")) == "GIST + linear probe"
    assert pair_label(("mine", "other")) == "mine + other"
