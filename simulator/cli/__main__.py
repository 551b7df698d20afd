"""`python -m simulator.cli`: the command `divertsim`, where its script is not on the path."""

from simulator.cli import main

main()
