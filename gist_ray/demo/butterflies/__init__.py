"""The embedded data set: drawn butterflies, whose species and pictures a seed determines."""
