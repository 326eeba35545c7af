from gist_ray.report.confusions import most_confused
from gist_ray.schema import MANIFEST, PREDICTIONS, table

NAMES = ["Auk", "Bunting", "Crow"]


def tables(rows):
    """rows: (image_id, label, predicted, probability)"""
    manifest = [
        {
            "image_id": image_id,
            "uri": f"{image_id}.png",
            "label": label,
            "class_name": None if label is None else NAMES[label],
            "split": "test",
            "group": None,
            "attributes": "{}",
        }
        for image_id, label, _, _ in rows
    ]
    predictions = [
        {
            "image_id": image_id,
            "label": label,
            "predicted": predicted,
            "top5": [predicted],
            "probability": probability,
            "explanation": None,
        }
        for image_id, label, predicted, probability in rows
    ]
    return table(predictions, PREDICTIONS), table(manifest, MANIFEST)


def test_pairs_are_counted_both_ways():
    found = most_confused(
        *tables(
            [
                ("a1", 0, 1, 0.5),
                ("a2", 0, 1, 0.9),
                ("a3", 0, 0, 0.9),
                ("b1", 1, 0, 0.7),
                ("b2", 1, 1, 0.9),
                ("c1", 2, 1, 0.7),
                ("x", None, 1, 0.9),
            ]
        )
    )
    assert (found.num_wrong, found.num_images, found.num_pairs) == (4, 6, 2)
    (auk, bunting), (_, crow) = found.pairs
    assert (auk.class_name, auk.num_mistaken, auk.num_images) == ("Auk", 2, 3)
    assert (bunting.class_name, bunting.num_mistaken, bunting.num_images) == ("Bunting", 1, 2)
    assert crow.class_name == "Crow"


def test_pictures_are_the_surest_mistakes_then_recognised_images():
    found = most_confused(
        *tables(
            [
                ("a1", 0, 1, 0.5),
                ("a2", 0, 1, 0.9),
                ("a3", 0, 2, 0.99),
                ("b1", 1, 2, 0.99),
                ("b2", 1, 1, 0.2),
            ]
        ),
        num_pairs=1,
    )
    [(auk, bunting)] = found.pairs
    assert [example.uri for example in auk.examples] == ["a2.png", "a1.png"]
    assert [(e.uri, e.wrong) for e in bunting.examples] == [("b2.png", False), ("b1.png", True)]


def test_no_more_pairs_than_asked_and_unnamed_classes_are_numbered():
    predictions, manifest = tables([("a1", 0, 7, 0.5), ("b1", 1, 2, 0.5), ("b2", 1, 2, 0.5)])
    found = most_confused(predictions, manifest, num_pairs=1)
    assert len(found.pairs) == 1
    assert found.num_pairs == 2
    everything = most_confused(predictions, manifest)
    assert everything.pairs[1][1].class_name == "class 7"


def test_no_predictions_are_no_error():
    found = most_confused(*tables([]))
    assert (found.pairs, found.num_images) == ([], 0)
