"""`gist-ray pack` as a script, for submission to a cluster."""

import sys

from gist_ray.cli import main

if __name__ == "__main__":
    main(["pack", *sys.argv[1:]])
