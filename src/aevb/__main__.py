"""`python -m aevb` is the command `aevb`."""

from aevb.cli.app import main

if __name__ == "__main__":
    main()
