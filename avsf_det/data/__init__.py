"""From annotated videos to training samples: AVA-format tables, clips, transforms, datasets, synthetic scenes."""
