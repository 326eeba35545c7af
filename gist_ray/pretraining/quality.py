"""Figures of a pretrained CLIP on pictures that it was not trained on."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from gist_ray.demo.butterflies.attributes import Attributes
from gist_ray.demo.butterflies.captions import attribute_answer, attribute_prompts
from gist_ray.encoders.clip import Clip, embed_texts
from gist_ray.finetune.selection import BATCH_SIZE, embed_uris
from gist_ray.images.limits import ImageLimits


def retrieval(images: np.ndarray, texts: np.ndarray, own: np.ndarray) -> tuple[float, float]:
    """Returns R@1 and R@5: share of images whose own text is the nearest, or among the five
    nearest.

    images: (num_images, dim), texts: (num_texts, dim), own: (num_images,) row of the own text.
    """
    nearest = np.argsort(-(images @ texts.T), axis=1)[:, :5]
    hits = nearest == own[:, None]
    return float(hits[:, 0].mean()), float(hits.any(axis=1).mean())


def caption_quality(clip: Clip, test: pa.Table, groups: Sequence[str]) -> dict[str, float]:
    """Returns R@1 and R@5 of each group of test pictures (a PAIRS table): every picture's first
    caption among all different ones of its group."""
    images = embed_uris(clip, test.column("uri").to_pylist(), ImageLimits())
    captions = [captions[0] for captions in test.column("captions").to_pylist()]
    quality: dict[str, float] = {}
    for group in dict.fromkeys(groups):
        rows = [row for row, found in enumerate(groups) if found == group]
        number = {text: at for at, text in enumerate(dict.fromkeys(captions[row] for row in rows))}
        own = np.array([number[captions[row]] for row in rows])
        found = retrieval(images[rows], _embed_all(clip, list(number)), own)
        of = f"{group}, " if group else ""
        quality |= {
            f"{of}R@{at} among {len(number)}": value
            for at, value in zip((1, 5), found, strict=True)
        }
    return quality


def butterfly_quality(clip: Clip, rows: pa.Table, uris: list[str]) -> dict[str, float]:
    """Returns R@1 and R@5 of each picture's full description among all, and the zero-shot accuracy
    on single attributes, which were never labels.

    rows: CORPUS_ROWS of the pictures; uris: where they lie, in the same order.
    """
    images = embed_uris(clip, uris, ImageLimits())
    descriptions = rows.column("description").to_pylist()
    number = {text: at for at, text in enumerate(dict.fromkeys(descriptions))}
    own = np.array([number[text] for text in descriptions])
    first, fifth = retrieval(images, _embed_all(clip, list(number)), own)
    quality = {"R@1": first, "R@5": fifth}
    attributes = [Attributes.from_json(text) for text in rows.column("attributes").to_pylist()]
    for task, prompts in attribute_prompts().items():
        answers = list(prompts)
        truth = [attribute_answer(one, task) for one in attributes]
        asked = [index for index, answer in enumerate(truth) if answer in prompts]
        head = embed_texts(clip, list(prompts.values()))
        chosen = (images[asked] @ head.T).argmax(axis=1)
        right = [
            answers[choice] == truth[index] for index, choice in zip(asked, chosen, strict=True)
        ]
        quality[f"zero-shot {task} (1 of {len(answers)})"] = float(np.mean(right))
    return quality


def _embed_all(clip: Clip, texts: list[str]) -> np.ndarray:
    batches = [texts[at : at + BATCH_SIZE] for at in range(0, len(texts), BATCH_SIZE)]
    return np.concatenate([embed_texts(clip, batch) for batch in batches])
