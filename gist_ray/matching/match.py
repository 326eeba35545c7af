"""Matches texts to the training images by the configured variant."""

import numpy as np
import pyarrow as pa

from gist_ray.errors import UserError
from gist_ray.matching.balanced import match_balanced
from gist_ray.matching.config import BLIND_VARIANTS, CLASS_NAME, MatchingConfig
from gist_ray.matching.controls import match_all, match_any_class, match_random
from gist_ray.matching.groups import LabelledFeatures, Matches
from gist_ray.matching.inputs import MatchingInputs, MatchingTables, gather_inputs
from gist_ray.matching.mmr import match_mmr
from gist_ray.matching.sampled import match_sampled
from gist_ray.matching.topk import match_topk
from gist_ray.matching.vectors import BLOCK_BYTES
from gist_ray.schema import MATCHES


def match(tables: MatchingTables, config: MatchingConfig, seed: int) -> pa.Table:
    """Returns the texts of every image of split "train", as a MATCHES table: images class by class
    and within a class in the manifest's order, ranks from 0 in the variant's order of preference.

    Rejected texts, and images and texts without an embedding (`without_embedding` lists them), are
    left out. The variant class_name gives an empty table. `seed` matters for sampled and random.
    Raises UserError as `gather_inputs` does, and if min_similarity leaves no match at all.
    """
    if config.variant == CLASS_NAME:
        return MATCHES.empty_table()
    inputs = gather_inputs(tables)
    matches = choose(inputs, config, seed)
    keep = matches.text_index >= 0
    if config.variant not in BLIND_VARIANTS:
        keep &= matches.similarity >= config.min_similarity
    if not keep.any():
        raise UserError(
            f"matching.min_similarity={config.min_similarity} leaves no match: the highest "
            f"similarity is {np.nanmax(matches.similarity):.3f}. Choose a lower one."
        )
    images, _ = np.nonzero(keep)
    ranks = np.cumsum(keep, axis=1, dtype=np.int32) - 1
    return pa.table(
        [
            inputs.image_ids.take(pa.array(images)),
            pa.array(ranks[keep], pa.int32()),
            inputs.text_ids.take(pa.array(matches.text_index[keep])),
            pa.array(matches.similarity[keep]),
        ],
        schema=MATCHES,
    )


def choose(inputs: MatchingInputs, config: MatchingConfig, seed: int) -> Matches:
    """Returns the matches of all images by the config's variant, which is not class_name.

    Images are read and matched block by block; for the variant balanced, which needs all images of
    a class, in one block. Raises UserError as `MatchingInputs.image_blocks` does.
    """
    block_bytes = float("inf") if config.variant == "balanced" else BLOCK_BYTES
    rows, blocks = [], []
    for positions, features in inputs.image_blocks(block_bytes):
        rows.append(positions)
        images = LabelledFeatures(features, inputs.image_labels[positions])
        image_ids = inputs.image_ids.take(positions)
        blocks.append(_choose(images, image_ids, inputs, config=config, seed=seed))
    order = np.argsort(np.concatenate(rows))
    return Matches(
        np.concatenate([block.text_index for block in blocks])[order],
        np.concatenate([block.similarity for block in blocks])[order],
    )


def _choose(
    images: LabelledFeatures,
    image_ids: pa.Array,
    inputs: MatchingInputs,
    *,
    config: MatchingConfig,
    seed: int,
) -> Matches:
    """Returns the matches of the images of a block with the texts of `inputs`."""
    texts, k = LabelledFeatures(inputs.text_features, inputs.text_labels), config.k
    match config.variant:
        case "topk":
            return match_topk(images, texts, k)
        case "sampled":
            return match_sampled(
                images,
                texts,
                k,
                temperature=config.temperature,
                image_ids=image_ids.to_pylist(),
                seed=seed,
            )
        case "mmr":
            return match_mmr(images, texts, k, diversity=config.diversity)
        case "balanced":
            return match_balanced(
                images,
                texts,
                k,
                epsilon=config.sinkhorn_epsilon,
                num_iterations=config.sinkhorn_iterations,
            )
        case "random":
            return match_random(images, texts, k, image_ids=image_ids.to_pylist(), seed=seed)
        case "all":
            return match_all(images, texts)
        case "any_class":
            return match_any_class(images.features, texts.features, k)
    raise ValueError(f"the variant {config.variant!r} matches no texts")
