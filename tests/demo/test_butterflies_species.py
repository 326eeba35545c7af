import pytest
from pydantic import ValidationError

from gist_ray.demo.butterflies import species as species_module
from gist_ray.demo.butterflies.attributes import Attributes
from gist_ray.demo.butterflies.config import WorldConfig
from gist_ray.demo.butterflies.names import GENUS_NAMES, PLACES
from gist_ray.demo.butterflies.notes import facts, field_notes
from gist_ray.demo.butterflies.species import FORM_SHARES, make_species
from gist_ray.errors import UserError


def visible(form: Attributes) -> tuple[str, ...]:
    colour = "" if form.pattern == "plain" else form.pattern_colour
    return (form.forewing, form.hindwing, form.pattern, colour, form.border)


def test_a_seed_decides_the_world() -> None:
    assert make_species(WorldConfig(seed=1)) == make_species(WorldConfig(seed=1))
    worlds = [make_species(WorldConfig(seed=seed)) for seed in range(1, 4)]
    looks = [{form for one in world for form in one.forms.values()} for world in worlds]
    assert not looks[0] & looks[1]
    assert not looks[1] & looks[2]


def test_a_larger_world_begins_with_the_smaller_one() -> None:
    small, large = (make_species(WorldConfig(num_genera=n)) for n in (3, 6))
    assert large[: len(small)] == small


def test_forms_and_sister_species_differ_and_their_parts_stand_out() -> None:
    world = make_species(WorldConfig(num_genera=50, species_per_genus=10))
    for genus in {one.genus for one in world}:
        looks = [visible(f) for one in world if one.genus == genus for f in one.forms.values()]
        assert len(looks) == len(set(looks)) == 30
    for one in world:
        assert list(one.forms) == list(FORM_SHARES)
        for form in one.forms.values():
            assert form.pattern_colour not in (form.forewing, form.hindwing)
            assert form.border != form.forewing


def test_sister_species_share_what_is_not_coloured() -> None:
    world = make_species(WorldConfig(num_genera=5))
    for genus in {one.genus for one in world}:
        forms = [f for one in world if one.genus == genus for f in one.forms.values()]
        assert len({(f.body, f.tail, f.shape, f.antennae, f.size) for f in forms}) == 1


@pytest.mark.parametrize(("num_genera", "species_per_genus"), [(1250, 4), (100, 50)])
def test_5000_species_have_names_and_looks_of_their_own(
    num_genera: int, species_per_genus: int
) -> None:
    config = WorldConfig(num_genera=num_genera, species_per_genus=species_per_genus)
    world = make_species(config)
    assert [one.label for one in world] == list(range(5000))
    assert len({one.name.lower() for one in world}) == 5000
    assert len({form for one in world for form in one.forms.values()}) == 15000


def test_half_of_the_names_tell_about_the_male() -> None:
    world = make_species(WorldConfig(num_genera=100))
    telling = [
        one.name.lower().startswith((one.forms["male"].forewing, one.forms["male"].pattern_colour))
        for one in world
    ]
    assert 0.4 < sum(telling) / len(world) <= 0.5


def test_there_are_names_for_the_largest_world_that_the_config_allows() -> None:
    assert len(set(GENUS_NAMES)) == len(GENUS_NAMES)
    assert len(set(PLACES)) == len(PLACES)
    WorldConfig(num_genera=min(2000, len(GENUS_NAMES)), species_per_genus=len(PLACES))
    with pytest.raises(ValidationError, match="num_genera"):
        WorldConfig(num_genera=len(GENUS_NAMES) + 1)
    with pytest.raises(ValidationError, match="species_per_genus"):
        WorldConfig(species_per_genus=len(PLACES) + 1)


def test_a_genus_without_room_says_what_to_change(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(species_module, "MAX_TRIES_PER_SPECIES", 1)
    with pytest.raises(UserError, match=r"genus 0 of world 7.*Ask for more genera"):
        make_species(WorldConfig(species_per_genus=50))


def test_notes_say_what_the_forms_look_like() -> None:
    world = make_species(WorldConfig(num_genera=20))
    notes = field_notes(world)
    assert len(notes) == len(world)
    for one in world:
        for form, attributes in one.forms.items():
            assert notes[one.name][form] == facts(attributes)


def test_facts_leave_out_what_is_not_there() -> None:
    two_coloured = Attributes(
        forewing="grey",
        hindwing="pink",
        pattern="tip",
        pattern_colour="yellow",
        border="none",
        body="black",
        tail="none",
        shape="pointed",
        antennae="thin",
        size="small",
    )
    assert facts(two_coloured) == {
        "forewings": "grey",
        "hindwings": "pink",
        "pattern": "yellow tips",
    }
    plain = Attributes(**{**vars(two_coloured), "hindwing": "grey", "pattern": "plain"})
    assert facts(plain) == {"wings": "grey"}
    bordered = Attributes(**{**vars(plain), "pattern": "band", "border": "red"})
    assert facts(bordered) == {"wings": "grey", "pattern": "yellow band", "border": "red"}
