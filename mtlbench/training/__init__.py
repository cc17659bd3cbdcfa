"""Training: artifacts, the loop, loss weighting, the artifact cache. Knows networks only through a `Recipe`."""
