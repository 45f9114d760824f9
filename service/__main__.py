"""`python -m service` is `media-worker`."""

from service.cli import main

if __name__ == "__main__":
    main()
