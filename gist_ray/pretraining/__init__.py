"""A small CLIP from random weights: the embedded one, or one for pictures with captions."""
