"""The network: pathways, lateral fusion, DropPathway, backbone, heads, and how one is built, saved and loaded."""
