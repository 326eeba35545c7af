"""The embedded data set: a procedural field guide of butterflies, drawn from a seed (a world)."""
