"""`python -m hack.cli` is `haat`."""

from hack.cli.main import main

main()
