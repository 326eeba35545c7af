from gist_ray.demo.emoji.catalogue import code_of, gendered_roles, picture_files, read_catalogue


def test_an_emoji_has_one_code_whatever_a_vendor_calls_it():
    assert code_of("1F468-200D-2642-FE0F") == code_of("1f468-200d-2642") == "1f468-200d-2642"


def test_flags_and_couples_of_two_tones_are_left_out(tiny_packages):
    emoji = read_catalogue(tiny_packages["openmoji"])
    names = [one.name for one in emoji]
    assert len(names) == 2 * 9 + 12 + 1
    assert "couple" not in names
    assert "flag: Andorra" not in names
    toned = next(one for one in emoji if one.name == "man diver: medium skin tone")
    assert (toned.is_toned, toned.base_name, toned.role) == (True, "man diver", "diver")
    assert next(one for one in emoji if one.name == "bird 3").tags == ("bird", "tag 3")


def test_the_vendors_are_joined_by_code(tiny_packages):
    files = picture_files(tiny_packages)
    codes = {one.code: one.name for one in read_catalogue(tiny_packages["openmoji"])}
    for vendor in ("openmoji", "twitter", "fluent"):
        assert codes.keys() <= files[vendor].keys()
    lacking = [name for code, name in codes.items() if code not in files["google"]]
    assert lacking == ["fruit 8"]
    heart = next(code for code, name in codes.items() if name == "red heart")
    assert {file.stem for file in (files[v][heart] for v in files)} == {
        "2764-FE0F",
        "2764-fe0f",
        "2764",
    }


def test_roles_are_those_of_every_gender(tiny_packages):
    assert gendered_roles(read_catalogue(tiny_packages["openmoji"])) == ["diver", "farmer"]
