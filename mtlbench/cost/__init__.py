"""Cost: closed-form MACs, the dispatch counter, and the cross-check against other counters."""
