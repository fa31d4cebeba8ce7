"""Labelled clips: what is done in a whole video, or in a stretch of it, without boxes."""
