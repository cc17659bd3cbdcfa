"""Comparing two runs: findings with a verdict each, and what they come to."""
