"""Results made visible: annotated frames, the sound's lane under them, and the timeline of a whole video."""
