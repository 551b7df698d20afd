"""What would happen to these packets under these rules, and why: rule files and packets, without a router."""
