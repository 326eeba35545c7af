import json

import numpy as np
import pyarrow as pa

from gist_ray.demo.emoji.own_names import own_names


def test_it_counts_the_pictures_whose_best_text_of_their_class_is_their_name():
    texts = pa.table({"class_name": ["a", "a", "b"], "text": ["Owl", "hen", "fig"]})
    text_features = np.eye(3, dtype=np.float32)
    pictures = [
        # (class, name, its vector): fig is nearest to the second and is of another class
        ("a", "owl", [0.9, 0.1, 0.0]),
        ("a", "hen", [0.3, 0.1, 0.9]),
        ("b", "fig", [0.9, 0.1, 0.2]),
    ]
    about = {"vendor": "v", "pretraining_saw": "nothing"}
    manifest = pa.table(
        {
            "class_name": [name for name, _, _ in pictures],
            "split": ["train", "test", "test"],
            "attributes": [json.dumps({**about, "name": name}) for _, name, _ in pictures],
        }
    )
    features = np.array([vector for _, _, vector in pictures], np.float32)
    test, train = own_names(manifest, texts, image_features=features, text_features=text_features)
    assert (train["split"], train["right"], train["pictures"]) == ("train, val", 1.0, 1)
    assert (test["vendors"], test["pretraining_saw"]) == ("v", "nothing")
    assert (test["right"], test["pictures"], test["by_chance"]) == (0.5, 2, 0.75)
    assert 0 <= test["low"] < 0.5 < test["high"] <= 1
