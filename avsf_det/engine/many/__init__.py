"""Many videos: several workers, here or on a cluster, and each video done once, whatever becomes of a worker."""
