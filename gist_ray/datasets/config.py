"""The settings of every data-set reader."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from gist_ray.datasets.split_names import is_split
from gist_ray.schema import SPLITS
from gist_ray.settings.declare import InputFile, InputPath, settings

Layout = Literal[
    "image_folder",
    "manifest",
    "cub",
    "flowers",
    "aircraft",
    "fitzpatrick17k",
    "fitzpatrick40",
    "coop_split",
    "packed",
    "webdataset",
    "parquet_images",
]


@settings
class DataConfig:
    """A data set: its layout on disk, its location, and settings that the layout leaves open."""

    layout: Layout
    """The layout on disk. image_folder: split/class/* or class/*; manifest: your own CSV, Parquet
    or JSONL table; coop_split: a CoOp split_zhou_*.json; packed: the output of `gist-ray pack`;
    webdataset: tar files of samples; parquet_images: Parquet files with the images' bytes in
    them."""

    path: Annotated[str, InputPath]
    """The data set's folder, local or s3://bucket/prefix. For manifest the table itself; for
    coop_split and fitzpatrick the JSON or CSV file or its folder. For webdataset and
    parquet_images a folder, a file, or a pattern such as train-{000..012}.tar or *.parquet."""

    images: str = ""
    """coop_split, fitzpatrick: the folder with the pictures, relative to the folder of the JSON or
    CSV file (or absolute). Empty: the paths in that file."""

    class_names: Annotated[str, InputFile] = ""
    """A JSON file {class folder, name or id: display name} for the names that prompts and
    captions use. Empty: names come from the layout."""

    val_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Layouts that may lack a val split: the share of each class's training images that becomes val
    if the data set has none. At least one image unless 0."""

    test_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """The same share for test. A class keeps at least one training image."""

    val_per_class: Annotated[int, Field(ge=0)] = 3
    """cub: how many of each class's official training images become val (GIST takes 3)."""

    seed: int = 0
    """Seed of the splits that are drawn."""

    variant: Literal["variant", "family", "manufacturer"] = "variant"
    """aircraft: the level that is the class. The data set has 100 variants in 70 families."""

    flowers_train_on: Literal["trnid", "tstid"] = "trnid"
    """flowers: the list in setid.mat that is train. trnid, the official one, has 10 images per
    class; some works train on the 6,149 of tstid and test on trnid."""

    image_column: str = "image"
    """manifest: the column with the picture's path (relative to the table's folder) or URI.
    parquet_images: the column with the bytes."""

    class_column: str = "class_name"
    """manifest, webdataset (a field of .json), parquet_images: the column with the class's name.
    The data need this column or `label_column`."""

    label_column: str = "label"
    """manifest, webdataset, parquet_images: the column with the class's id, any text; in a
    webdataset also the content of .cls. Labels follow the order of the ids, numeric if all are
    whole numbers."""

    split_column: str = "split"
    """manifest, webdataset, parquet_images: the column with train, val, test, test/NAME (a further
    test set, such as test/night; letters, digits, dots, dashes, underscores) or unlabeled. Without
    it, or if this is empty, splits are drawn."""

    split_names: dict[str, str] | None = None
    """image_folder, manifest, webdataset, parquet_images: the splits that names of the data set's
    own mean, such as {fold1: train, fold2: test}; of top folders, or of cells in the split column.
    {} says that no top folder is a split. null: the usual names (train, Training, dev, Testing
    ...)."""

    follow_links: bool = False
    """image_folder: read the folders that links inside the data set lead to, as if they were there,
    and the pictures that links lead out to."""

    join_alike: bool = False
    """Make one class of classes whose names look alike: they differ in case, in the kind of their
    dashes, apostrophes or spaces, or as 007 and 7 do. If false, such names are refused."""

    duplicates: Literal["report", "drop", "error", "ignore"] = "report"
    """Pictures that are there several times, equal byte for byte. report: say how many, in which
    splits and classes; drop: keep one of each (that in test before that in val before that in
    train), and none of those that are in several classes; error: refuse the data set; ignore: do
    not look for them. Unless ignored, splits that are drawn keep equal pictures together. Files are
    compared by size, then by content; objects on S3 by size and ETag, without being read."""

    group_column: str = ""
    """manifest, webdataset, parquet_images: the column that names what an image belongs to (a
    patient, a burst, a site). Splits that are drawn keep its images together. Empty: images belong
    to nothing."""

    exclude: Annotated[str, InputFile] = ""
    """A CSV, Parquet or JSONL file whose column image_id names images to leave out, such as the
    exclude.csv of `gist-ray audit`. Splits are drawn before."""

    id_column: str = ""
    """manifest, webdataset, parquet_images: the column that is used as image_id. Empty: image_id is
    a hash of the path, or of the file and the name or row in it."""

    @model_validator(mode="after")
    def _check(self) -> "DataConfig":
        if not self.path:
            raise ValueError(
                f"path is empty: say where the {self.layout} data set lies, "
                "for example path=/data/my_images or path=s3://bucket/my_images"
            )
        wrong = {
            name: split for name, split in (self.split_names or {}).items() if not is_split(split)
        }
        if wrong:
            raise ValueError(
                f"split_names {wrong}: a split is one of {', '.join(SPLITS)}, or test/NAME"
            )
        if self.val_fraction + self.test_fraction >= 1:
            raise ValueError(
                f"val_fraction {self.val_fraction} and test_fraction {self.test_fraction} leave "
                "no training images: their sum has to be below 1"
            )
        return self
