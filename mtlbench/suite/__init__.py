"""Suites: read a YAML file, validate it, expand it into cells."""
