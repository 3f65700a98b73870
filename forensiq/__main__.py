"""``python -m forensiq``."""

from forensiq.cli.main import main

if __name__ == "__main__":
    main()
