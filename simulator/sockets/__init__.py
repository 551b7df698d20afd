"""Python objects that are used like sockets: divert sockets and UDP sockets of the router."""
