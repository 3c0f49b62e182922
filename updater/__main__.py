"""Run the command line: `python -m updater` is the same as `updater`."""

from updater.cli import main

if __name__ == "__main__":
    main()
