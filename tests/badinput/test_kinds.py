from collections import Counter

from tests.badinput.generator import KINDS, PAGE, write_page
from tests.badinput.kinds import PictureFile

ALL = [kind for kinds in KINDS.values() for kind in kinds]


def test_there_are_many_kinds_and_each_has_a_name_of_its_own() -> None:
    assert len(ALL) >= 40
    assert not [name for name, count in Counter(kind.name for kind in ALL).items() if count > 1]
    assert all(kind.happens for kind in ALL)


def test_the_page_lists_exactly_these_kinds() -> None:
    """Mend with `python -m tests.badinput.generator`."""
    text = PAGE.read_text()
    assert write_page(text) == text


def test_pictures_are_made_alike_each_time() -> None:
    kinds = [kind for kind in ALL if isinstance(kind, PictureFile) and "bomb" not in kind.name]
    assert len(kinds) >= 40
    assert [kind.files() for kind in kinds] == [kind.files() for kind in kinds]
