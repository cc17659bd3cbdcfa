"""Results: launch records, the run folder, and the table derived from them."""
