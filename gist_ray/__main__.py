"""`python -m gist_ray`, the same as `gist-ray`."""

from gist_ray.cli import main

if __name__ == "__main__":
    main()
