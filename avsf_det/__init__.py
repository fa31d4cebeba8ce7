"""Audiovisual SlowFast for spatiotemporal action detection: who does what, where and when, by looking and listening."""

__version__ = "0.1.0"
