"""`gist-ray predict` as a script, for submission to a cluster."""

import sys

from gist_ray.cli import main

if __name__ == "__main__":
    main(["predict", *sys.argv[1:]])
