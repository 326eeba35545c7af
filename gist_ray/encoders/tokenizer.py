"""The tokenizer of small CLIP models: the first of CLIP's own byte-pair merges.

CLIP's vocabulary of 49,408 rows would be most of a model of five million parameters. The first
8,000 merges of the same file (it ships with open_clip) give 8,515 rows and make a caption about a
tenth longer. The tokenizer is stored in the checkpoint folder as a Hugging Face tokenizer.json.
"""

import gzip
import json
from pathlib import Path

from open_clip.tokenizer import bytes_to_unicode, default_bpe
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

PAD, START, END = "<pad>", "<start_of_text>", "<end_of_text>"
# The pattern of open_clip's SimpleTokenizer.
WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


def cut_tokenizer(num_merges: int) -> Tokenizer:
    """Returns CLIP's tokenizer with its first `num_merges` merges.

    The end token has the highest id, because open_clip pools the text tower where the id is
    largest (`text_pool="argmax"`).
    """
    lines = gzip.decompress(Path(default_bpe()).read_bytes()).decode().split("\n")
    merges = [(left, right) for left, right in map(str.split, lines[1 : 1 + num_merges])]
    letters = list(bytes_to_unicode().values())
    words = letters + [f"{letter}</w>" for letter in letters] + ["".join(pair) for pair in merges]
    vocab = {word: row for row, word in enumerate([*words, PAD, START, END])}
    tokenizer = Tokenizer(
        models.BPE(vocab=vocab, merges=merges, end_of_word_suffix="</w>", fuse_unk=False)
    )
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORDS), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.BPEDecoder(suffix="</w>")
    tokenizer.add_special_tokens([PAD, START, END])
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START} $A {END}", special_tokens=[(START, vocab[START]), (END, vocab[END])]
    )
    return tokenizer


def save_tokenizer(folder: Path, num_merges: int) -> int:
    """Writes tokenizer.json and tokenizer_config.json. Returns the number of rows of the
    vocabulary."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = cut_tokenizer(num_merges)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": PAD,
        "bos_token": START,
        "eos_token": END,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")
    return tokenizer.get_vocab_size()
