"""`python -m trivium` is `trivium`."""

from trivium.cli.main import main

if __name__ == "__main__":
    main()
