"""The page in the browser: videos are dropped on it, and what was found in them is looked at."""

import os

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # else it tells its makers of every start
