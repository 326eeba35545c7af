from gist_ray.encoders.config import ClipConfig
from gist_ray.encoders.context import fits_context, has_tokenizer_here, tokens_of_cut


def test_fits_context_draws_the_line_at_the_last_whole_text(shipped_clip):
    config = ClipConfig()
    words = shipped_clip.tokenizer.context_length - 2  # beside the start and end tokens
    fits, is_cut = "red " * words, "red " * (words + 1)
    assert fits_context(config, [fits, is_cut, "red", ""]) == [True, False, True, True]
    assert fits_context(config, []) == []


def test_fits_context_of_open_clips_own_tokenizer():
    config = ClipConfig(model="ViT-B-32")
    assert fits_context(config, ["red " * 75, "red " * 76]) == [True, False]


def test_texts_that_differ_behind_the_cut_are_the_same_to_the_tower():
    config = ClipConfig(model="ViT-B-32")
    one, other, third = tokens_of_cut(config, ["red " * 80, "red " * 75 + "blue", "blue " * 80])
    assert one != third
    assert tokens_of_cut(config, ["red " * 76 + "x", "red " * 76 + "y"])[0] == one
    assert other is None or other == one


def test_tokenizers_of_a_hub_are_not_here():
    assert has_tokenizer_here(ClipConfig())
    assert has_tokenizer_here(ClipConfig(model="ViT-B-32"))
    assert not has_tokenizer_here(ClipConfig(model="ViT-B-16-SigLIP"))
    assert not has_tokenizer_here(ClipConfig(model="hf-hub:org/model"))
