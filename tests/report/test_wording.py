from gist_ray.report.wording import method_label


def test_methods_known_and_unknown():
    assert method_label("gist/linear_probe") == "GIST + linear probe"
    assert method_label("mine/other") == "mine + other"
    assert method_label("mine") == "mine"
