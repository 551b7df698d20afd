"""ipfw's in-kernel ``nat``: the instances, their commands and their listings.  What they do to octets is elsewhere."""
