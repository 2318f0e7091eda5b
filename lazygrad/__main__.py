"""`python -m lazygrad`: the command line, which is the `lazygrad.cli` package."""

from lazygrad.cli import main

if __name__ == "__main__":
    main()
