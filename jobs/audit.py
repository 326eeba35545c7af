"""`gist-ray audit` as a script, for submission to a cluster."""

import sys

from gist_ray.cli import main

if __name__ == "__main__":
    main(["audit", *sys.argv[1:]])
