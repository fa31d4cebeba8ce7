"""The sub-commands of `avsf-det`, which `avsf_det.cli` puts together: one short function each, and its options."""
