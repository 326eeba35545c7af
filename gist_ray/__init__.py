"""From a labelled image collection without captions to an accurate fine-grained classifier."""

__version__ = "0.1.0"
