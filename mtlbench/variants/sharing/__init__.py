"""Computation sharing between tasks and frames (Shoouri et al., ICCV 2023), executed."""
