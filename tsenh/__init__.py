"""Facial feature compression with teacher-student enhancement, reproduced.

The learned codec of arXiv 2002.03627 in TensorFlow/Keras, its entropy coder and
file format, and face verification on LFW. README.md shows the commands; each
module names the equation or section that it implements.
"""

import os

# TensorFlow reads this once, at its first import, where it would otherwise
# report the CUDA libraries that it did not find.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

__version__ = "0.1.0"
