"""Other counters of operations, one file each: what they say about a network, and why that differs from our count."""
