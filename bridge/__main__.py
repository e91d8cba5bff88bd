"""`python -m bridge` is the command line, `python -m bridge worker` the background process of a node."""

from bridge.cli import main

if __name__ == "__main__":
    main()
