"""Random reads, writes, rule changes and packets, on every profile: the ledger balances, and only sockets raise.

`python -m benchmarks.fuzz` runs it; the same seed does the same thing.  `drawing` makes steps, which are data;
`machine` does them to a router; `episodes` runs them, finds the fewest that fail, and says how to repeat those.
"""

__all__: list[str] = []
