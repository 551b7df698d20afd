"""`python -m simulator.run [OPTIONS] SCRIPT [ARGUMENTS]`: the same as `divertsim exec`."""

from __future__ import annotations

from simulator.cli.execute import execute

__all__: list[str] = []

if __name__ == "__main__":
    execute(prog_name="python -m simulator.run")
