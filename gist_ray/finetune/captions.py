"""Training pairs: which captions an image may be trained with."""

import pyarrow as pa

from gist_ray.datasets.fewshot import sampled_images
from gist_ray.errors import UserError
from gist_ray.schema import PAIRS, table
from gist_ray.texts.prompt_set import PromptSet, caption, zero_shot_prompts


def pairs_of_matches(
    manifest: pa.Table,
    shots: pa.Table,
    *,
    matches: pa.Table,
    texts: pa.Table,
    prompts: PromptSet,
) -> pa.Table:
    """Returns a PAIRS row for every image of the sample (SHOTS, split "train") that has a match.

    Its captions are "prefix: text" of the matched texts, best first, short where there is a short
    one.

    Raises UserError if no image of the sample has a match.
    """
    wording = {
        row["text_id"]: caption(prompts, row["class_name"], row["short_text"] or row["text"])
        for row in texts.select(["text_id", "class_name", "text", "short_text"]).to_pylist()
    }
    captions: dict[str, list[str]] = {}
    for row in matches.sort_by("rank").to_pylist():
        captions.setdefault(row["image_id"], []).append(wording[row["text_id"]])
    rows = [
        {**image, "captions": captions[image["image_id"]]}
        for image in sampled_images(manifest, shots, "train").to_pylist()
        if image["image_id"] in captions
    ]
    if not rows:
        raise UserError(
            "no image of the few-shot sample has a matched text: were all of its images "
            "unreadable, or does texts.import_from pair none of them?"
        )
    return table(rows, PAIRS)


def pairs_of_names(manifest: pa.Table, shots: pa.Table, prompts: PromptSet) -> pa.Table:
    """Returns PAIRS with the class name in the zero-shot templates as captions (FLYP), for the
    images of the sample."""
    rows = [
        {**image, "captions": zero_shot_prompts(prompts, image["class_name"])}
        for image in sampled_images(manifest, shots, "train").to_pylist()
    ]
    return table(rows, PAIRS)
