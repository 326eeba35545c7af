"""A run as the pipeline would hand it to the report, drawn from a seed."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from gist_ray.matching.statistics import CLASS_STATISTICS, IMAGE_STATISTICS, TEXT_STATISTICS
from gist_ray.report.data import ReportData
from gist_ray.schema import ERRORS, MANIFEST, MATCHES, METRICS, PREDICTIONS, TEXTS, table

COLOURS = ["rusty orange", "pale blue", "lemon yellow", "dark brown", "moss green"]
RGB = [(196, 96, 40), (140, 180, 220), (236, 220, 90), (92, 62, 44), (110, 130, 70)]
PLACES = ["wing tips", "hind margin", "fore wings", "thorax"]
FORMS = ["male", "female", "autumn form"]
TOP1 = {
    ("frozen", "linear_probe"): (0.37, 0.55, 0.663),
    ("class_name", "linear_probe"): (0.31, 0.52, 0.639),
    ("random", "linear_probe"): (0.33, 0.54, 0.626),
    ("gist", "linear_probe"): (0.41, 0.59, 0.708),
    ("frozen", "zero_shot_texts"): (0.763,),
    ("class_name", "zero_shot_texts"): (0.69, 0.62, 0.56),
    ("random", "zero_shot_texts"): (0.74, 0.76, 0.79),
    ("gist", "zero_shot_texts"): (0.70, 0.80, 0.853),
}
SHOTS = (1, 3, 5)
SEEDS = (1, 2, 3)


@pytest.fixture
def make_report_data(tmp_path: Path):
    """Call with a number of classes; every other argument replaces a field."""

    def make(num_classes: int = 6, **fields) -> ReportData:
        return FakeRun(tmp_path, num_classes).report_data(**fields)

    return make


class FakeRun:
    def __init__(self, folder: Path, num_classes: int, images_per_class: int = 6) -> None:
        self.folder = folder
        self.rng = np.random.default_rng(0)
        self.names = [
            f"{COLOURS[i % 5].title()} {['Argus', 'Skipper', 'Fritillary', 'Copper'][i // 5 % 4]}"
            + (f" {i // 20}" if i >= 20 else "")
            for i in range(num_classes)
        ]
        self.images = [
            {
                "image_id": f"image{label:03d}-{number}",
                "uri": str(folder / f"{label:03d}-{number}.png"),
                "label": label,
                "class_name": self.names[label],
                "split": "train" if number < images_per_class // 2 else "test",
                "group": None,
                "attributes": "{}",
            }
            for label in range(num_classes)
            for number in range(images_per_class)
        ]
        for row in self.images:
            self.draw(row)

    def draw(self, row: dict) -> None:
        image = Image.new("RGB", (64, 64), tuple(int(v) for v in self.rng.integers(190, 230, 3)))
        pen = ImageDraw.Draw(image)
        colour = RGB[row["label"] % 5]
        shade = tuple(value // 2 for value in RGB[(row["label"] // 5 + 1) % 5])
        for x0, x1 in ((6, 31), (33, 58)):
            pen.ellipse((x0, 10, x1, 36), fill=colour, outline=shade, width=2)
            pen.ellipse((x0 + 4, 32, x1 - 4, 56), fill=colour, outline=shade, width=3)
            pen.ellipse((x0 + 9, 18, x0 + 15, 24), fill=shade)
        pen.ellipse((30, 10, 34, 54), fill=(40, 32, 28))
        image.save(row["uri"])

    def report_data(self, **fields) -> ReportData:
        made = {
            "name": "butterflies",
            "created": "2025-03-01 14:05 UTC",
            "environment": {
                "hardware": "2 cores, 8 GB, no GPU",
                "commit": "0123abc",
                "python": "3.11.7",
                "ray": "2.60.0",
                "torch": "2.13.0",
            },
            "config_yaml": "matching:\n  k: 3\nfinetune:\n  learning_rate: 3.0e-4\n",
            "manifest": table(self.images, MANIFEST),
            "stages": self.stages(),
            "errors": self.errors(),
            "predictions": self.predictions(),
            "predictions_of": "GIST + linear probe, 5 shots, seed 1",
            **self.results(),
            **self.matched(),
            **fields,
        }
        return ReportData(**made)

    def results(self) -> dict:
        metrics, summary, values = [], [], {}
        for metric, scale in (("top1", 1.0), ("macro_f1", 0.97), ("ece", 0.12)):
            for (features, method), means in TOP1.items():
                all_shots = SHOTS if len(means) > 1 else (None,)
                for shots, mean in zip(all_shots, means, strict=True):
                    drawn = scale * (mean + self.rng.normal(0, 0.018, len(SEEDS)))
                    values[features, method, shots, metric] = drawn
                    metrics += [
                        {
                            "features": features,
                            "method": method,
                            "data": "tiny",
                            "shots": shots,
                            "seed": seed,
                            "split": "test",
                            "slice": "",
                            "metric": metric,
                            "value": value,
                            "num_samples": 600,
                            "params": json.dumps({"backbone": "tiny"}),
                        }
                        for seed, value in zip(SEEDS, drawn, strict=True)
                    ]
                    summary.append(
                        {
                            "features": features,
                            "method": method,
                            "split": "test",
                            "shots": shots,
                            "metric": metric,
                            "mean": drawn.mean(),
                            "ci_low": drawn.mean() - 0.03,
                            "ci_high": drawn.mean() + 0.03,
                            "num_seeds": len(SEEDS),
                        }
                    )
        differences = []
        for other in ("random", "frozen", "class_name"):
            for shots in SHOTS:
                probe = "linear_probe"
                paired = values["gist", probe, shots, "top1"] - values[other, probe, shots, "top1"]
                differences.append(
                    {
                        "features_a": "gist",
                        "method_a": probe,
                        "features_b": other,
                        "method_b": probe,
                        "split": "test",
                        "shots": shots,
                        "metric": "top1",
                        "mean": paired.mean(),
                        "ci_low": paired.mean() - 0.034,
                        "ci_high": paired.mean() + 0.034,
                        "per_seed": paired.tolist(),
                        "detectable": 0.049,
                        "p_value": 0.004,
                        "p_holm": 0.036,
                    }
                )
        return {
            "metrics": table(metrics, METRICS),
            "summary": summary,
            "differences": differences,
        }

    def matched(self) -> dict:
        texts = []
        for label, name in enumerate(self.names):
            for number in range(8):
                sentence = (
                    f"The {FORMS[number % 3]} of the {name} has {COLOURS[number % 5]} "
                    f"{PLACES[number % 4]} and a row of small dark spots."
                )
                rejected = {6: "list_remnant", 7: "near_duplicate"}.get(number)
                if number == 7 and label % 3 == 0:
                    rejected = "refusal"
                texts.append(
                    {
                        "text_id": f"text{label:03d}-{number}",
                        "set": "class",
                        "label": label,
                        "class_name": name,
                        "axis": FORMS[number % 3],
                        "prompt_id": "look",
                        "sample": number,
                        "prompt": "Describe it.",
                        "raw": "1. " + sentence,
                        "text": sentence if rejected != "list_remnant" else "",
                        "rejected": rejected,
                        "model": "SmolLM2-135M",
                        "sampling_params": json.dumps({"temperature": 1.0}),
                    }
                )
        matches, image_rows = [], []
        for row in self.images:
            if row["split"] != "train":
                continue
            label, other = row["label"], (row["label"] + 5) % len(self.names)
            chosen = self.rng.choice(6, 3, replace=False)
            similarities = -np.sort(-self.rng.normal(0.31, 0.02, 3))
            matches += [
                {
                    "image_id": row["image_id"],
                    "rank": rank,
                    "text_id": f"text{label:03d}-{number}",
                    "similarity": similarity,
                }
                for rank, (number, similarity) in enumerate(zip(chosen, similarities, strict=True))
            ]
            best_other = self.rng.normal(0.29, 0.02)
            image_rows.append(
                {
                    "image_id": row["image_id"],
                    "label": label,
                    "own_text_id": f"text{label:03d}-{chosen[0]}",
                    "own_similarity": similarities[0],
                    "other_text_id": f"text{other:03d}-{chosen[0]}",
                    "other_label": other,
                    "other_class_name": self.names[other],
                    "other_similarity": best_other,
                    "margin": similarities[0] - best_other,
                }
            )
        kept = [row for row in texts if row["rejected"] is None]
        num_best = Counter(match["text_id"] for match in matches if match["rank"] == 0)
        num_used = Counter(match["text_id"] for match in matches)
        text_rows = []
        for row in kept:
            own, other = self.rng.normal(0.3, 0.01), self.rng.normal(0.28, 0.01)
            text_rows.append(
                {
                    **{key: row[key] for key in ("text_id", "label", "class_name")},
                    "num_best": num_best[row["text_id"]],
                    "num_used": num_used[row["text_id"]],
                    "own_similarity": own,
                    "other_similarity": other,
                    "other_label": (row["label"] + 1) % len(self.names),
                    "other_class_name": self.names[(row["label"] + 1) % len(self.names)],
                    "label_preserving": own >= other,
                }
            )
        class_rows = [
            {
                "label": label,
                "class_name": name,
                "num_images": 3,
                "num_images_without_match": 0,
                "num_texts": 6,
                "num_texts_used": 5,
                "effective_num_texts": 1 + 2 * self.rng.random(),
                "top_text_share": 0.5,
                "mean_margin": 0.02,
                "share_positive_margin": 0.9,
                "num_not_label_preserving": 0,
            }
            for label, name in enumerate(self.names)
        ]
        return {
            "texts": table(texts, TEXTS),
            "matches": table(matches, MATCHES),
            "text_statistics": table(text_rows, TEXT_STATISTICS),
            "class_statistics": table(class_rows, CLASS_STATISTICS),
            "image_statistics": table(image_rows, IMAGE_STATISTICS),
        }

    def predictions(self):
        rows = []
        for row in self.images:
            if row["split"] == "test":
                wrong = self.rng.random() < 0.35
                predicted = (row["label"] + (5 if wrong else 0)) % len(self.names)
                rows.append(
                    {
                        "image_id": row["image_id"],
                        "label": row["label"],
                        "predicted": predicted,
                        "top5": [predicted],
                        "probability": self.rng.random(),
                        "explanation": f"The male of the {self.names[predicted]} has dark tips.",
                    }
                )
        return table(rows, PREDICTIONS)

    def errors(self):
        rows = [
            {
                "id": f"image{number}",
                "uri": f"s3://bucket/pictures/{number}.jpg",
                "stage": "embed_images",
                "kind": "corrupt" if number % 3 else "missing",
                "message": "image file is truncated (7 bytes not processed)",
            }
            for number in range(4)
        ]
        return table(rows, ERRORS)

    def stages(self) -> list[dict]:
        def step(group, name, rows, seconds, inputs, cached=False, failed=None) -> dict:
            failed = failed or {}
            return {
                "name": name,
                "kind": group,
                "group": group,
                "fingerprint": "8f3a0c1d22b94e70",
                "rows_in": rows,
                "rows_ok": rows - sum(failed.values()),
                "failed": failed,
                "seconds": seconds,
                "cached": cached,
                "inputs": inputs,
            }

        num_images, num_texts = len(self.images), 8 * len(self.names)
        steps = [
            step("ingest", "ingest", num_images, 1.3, [], cached=True),
            step("generate_texts", "generate_texts", num_texts, 61.0, ["ingest"]),
            step(
                "embed_images", "embed_images", num_images, 8.2, ["ingest"], failed={"corrupt": 4}
            ),
            step("clean_texts", "clean_texts", num_texts, 0.4, ["generate_texts"]),
            step("embed_texts", "embed_texts", num_texts, 3.0, ["clean_texts"]),
            step("match", "match", num_images, 0.2, ["embed_images", "embed_texts"]),
        ]
        for training in ("class_name", "random", "gist"):
            for seed in SEEDS:
                tag = f"{training} 5 shots seed {seed}"
                steps += [
                    step("finetune", f"finetune {tag}", 100, 21.0, ["match"], cached=seed == 1),
                    step("embed_images", f"embed {tag}", num_images, 8.0, [f"finetune {tag}"]),
                    step("evaluate", f"evaluate {tag}", 600, 2.0, [f"embed {tag}", "embed_texts"]),
                ]
        return steps
