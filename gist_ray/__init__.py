"""From a labelled image collection without captions to an accurate fine-grained classifier."""

import sys

from gist_ray.timm_import import WithoutWandb

__version__ = "0.1.0"

sys.meta_path.insert(0, WithoutWandb())
