"""Label-preserving top-k: GIST's matching (caption_matching.py of emu1729/GIST), exact.

GIST's softmax over 100 x cosine within a class is monotone, so it ranks as the cosine does. GIST
sorts ties unstably; here ties go to the text that comes first in the table.
"""

from gist_ray.matching.groups import LabelledFeatures, Matches, match_within_classes
from gist_ray.matching.similarity import top_k


def match_topk(images: LabelledFeatures, texts: LabelledFeatures, k: int) -> Matches:
    """Returns the k texts of its own class that are most similar to each image, all texts of a
    class with fewer than k.

    Equal texts tie exactly. The order of different texts whose similarities differ by less than
    float32 rounding (about 1e-7) depends on the rounding of BLAS.
    Raises UserError if a class with images has no text.
    """
    return match_within_classes(
        images, texts, lambda rows, similarity, own: top_k(similarity, k), k=k
    )
