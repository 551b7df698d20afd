"""Here so that the tests of every room find :mod:`datagrams` beside it."""
