import gzip
from pathlib import Path

import pytest
from open_clip.tokenizer import HFTokenizer, SimpleTokenizer, default_bpe

from gist_ray.encoders.tokenizer import END, PAD, START, cut_tokenizer, save_tokenizer

NUM_MERGES = 500
TEXTS = [
    "Coral Nymph: a small butterfly with coral-red wings.",
    "It's the  BIGGEST one,\n isn't it? They'll say we've 3 of 2024's",
    "Æschna café 蝶 -- über-naïve!",
    "",
]


@pytest.fixture
def reference(tmp_path: Path) -> SimpleTokenizer:
    """open_clip's tokenizer over the first merges of its own file."""
    lines = gzip.decompress(Path(default_bpe()).read_bytes()).decode().split("\n")
    cut = tmp_path / "cut.txt.gz"
    cut.write_bytes(gzip.compress("\n".join(lines[: 1 + NUM_MERGES]).encode()))
    return SimpleTokenizer(bpe_path=str(cut), context_length=77)


@pytest.mark.parametrize("text", TEXTS)
def test_the_pieces_are_those_of_open_clips_tokenizer(reference, text):
    tokenizer = cut_tokenizer(NUM_MERGES)
    ids = tokenizer.encode(text).ids
    assert ids[0] == tokenizer.token_to_id(START)
    assert ids[-1] == tokenizer.token_to_id(END)
    assert ids[1:-1] == reference.encode(text)


def test_the_end_token_has_the_highest_id():
    """open_clip pools the text tower where the id is largest."""
    tokenizer = cut_tokenizer(NUM_MERGES)
    assert tokenizer.token_to_id(END) == tokenizer.get_vocab_size() - 1
    assert tokenizer.get_vocab_size() == 512 + NUM_MERGES + 3


def test_a_saved_tokenizer_loads_in_open_clip_and_pads_after_the_end(tmp_path):
    num_rows = save_tokenizer(tmp_path, NUM_MERGES)
    loaded = HFTokenizer(str(tmp_path), context_length=40)
    tokens = loaded(["red wings"])[0]
    tokenizer = cut_tokenizer(NUM_MERGES)
    ids = tokenizer.encode("red wings").ids
    assert tokens.tolist() == ids + [tokenizer.token_to_id(PAD)] * (40 - len(ids))
    assert int(tokens.max()) == num_rows - 1
    cut = loaded(["red " * 60])[0]
    assert cut[-1] == tokenizer.token_to_id(END)
