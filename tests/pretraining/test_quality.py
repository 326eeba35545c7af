import numpy as np

from gist_ray.pretraining.quality import retrieval


def test_the_own_text_is_first_or_among_the_five_nearest():
    texts = np.eye(7, dtype=np.float32)
    # each image is nearest to text 0, then to text 1 and so on
    images = np.tile(np.linspace(1, 0.1, 7, dtype=np.float32), (4, 1))
    first, fifth = retrieval(images, texts, np.array([0, 1, 4, 5]))
    assert (first, fifth) == (0.25, 0.75)
