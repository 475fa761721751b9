"""``python -m glaswerk`` is ``glaswerk``."""

from glaswerk.cli.main import main

if __name__ == "__main__":
    main()
