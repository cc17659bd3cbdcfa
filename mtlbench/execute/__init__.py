"""Execution: launches in fresh worker processes, their order, the timing lock, the journal."""
