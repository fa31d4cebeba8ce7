"""Synthetic audiovisual scenes: articulated people who act and make sounds, in AVA's format, as real mp4 files."""
