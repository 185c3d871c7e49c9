"""What `make bench` runs. Figures are ratios to a peer measured in the same run."""
