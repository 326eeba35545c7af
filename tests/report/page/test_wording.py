from gist_ray.report.page.wording import duration, interval, percent, points, shorten


def test_numbers():
    assert percent(0.7083) == "70.8"
    assert points(-0.0123) == "−1.2"
    assert points(0.045) == "+4.5"
    assert interval(-0.01, 0.069) == "[−1.0, 6.9]"
    assert interval(None, 0.1) == ""
    assert [duration(s) for s in (0.24, 61, 353, 3700)] == [
        "0.2 s",
        "61 s",
        "5 min 53 s",
        "1 h 01 min",
    ]


def test_shorten_bounds_the_length_and_shows_control_characters():
    assert shorten("a" * 10, 10) == "a" * 10
    assert shorten("a" * 11, 10) == "a" * 9 + "…"
    assert shorten("a\x00b\x1b[0m\nc\ud800") == "a\ufffdb\ufffd[0m\nc\ufffd"
    assert shorten("Müller’s 蝶 🦋") == "Müller’s 蝶 🦋"
