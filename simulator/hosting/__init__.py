"""Other people's programs: a Python script with its own sockets, rules and loop, run against a router from a file.

`description` reads the file, `world` builds the router and lines up its traffic, `driver` moves time and packets while
the script waits, `standins` take the places of `socket`, `select`, `time` and standard input, `commands` answers for
`ipfw` and `ipchains`, `script` runs the script itself, and `report` says what came of it.
"""

__all__: list[str] = []
