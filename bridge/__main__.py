"""`python -m bridge` is the command line, `python -m bridge worker` the background process of a node."""

import signal

signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C while it loads ends it without a traceback

from bridge.cli import main as run  # noqa: E402


def main() -> None:
    """Entry point of `dicom-bridge`."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    run()


if __name__ == "__main__":
    main()
