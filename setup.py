"""Installs tsenh: `pip install .`; see README.md."""

import platform
import sys

SYSTEMS = (("Linux", "x86_64"), ("Darwin", "x86_64"))


def check_platform():
  """Ends in one sentence where tensorflow-compression has no wheel."""
  system = (platform.system(), platform.machine())
  implementation = platform.python_implementation()
  good_python = (3, 9) <= sys.version_info[:2] <= (3, 11)
  if system in SYSTEMS and implementation == "CPython" and good_python:
    return
  sys.exit(
    "tsenh needs CPython 3.9 to 3.11 on Linux or macOS with an x86-64"
    " processor, because tensorflow-compression 2.14.1 has wheels for these"
    f" alone; this is {implementation} {platform.python_version()} on"
    f" {' '.join(system)}."
  )


check_platform()
if sys.argv[1:] == ["check_platform"]:  # For the Makefile.
  sys.exit()

import pathlib  # noqa: E402

import setuptools  # noqa: E402

REPORT = [
  "matplotlib>=3.7",
  "pandas>=2.0,<3",
  "bjontegaard>=1.3,<2",
  "flip-evaluator>=1.7,<2",
  "Markdown>=3.5",
]
# Photographs, and what finds faces in them; from Python 3.10 on.
PHOTOS = ["Pillow>=10.1", "mtcnn>=1.0,<2 ; python_version >= '3.10'"]
NCNN = ["ncnn>=1.0.20240820"]
# Support vector machines; the last for Python 3.9.
EXPRESSIONS = [*PHOTOS, "scikit-learn>=1.3,<1.7"]
DLIB = ["Pillow>=10.1", "dlib-bin>=19.24.6", "face-recognition-models>=0.3,<1"]
# Compiles the range coder; the last with wheels for all that runs here.
FAST = ["numba>=0.57,<0.61"]
BENCHMARK = ["constriction>=0.4,<0.6", *FAST]
ONNX = ["onnxruntime>=1.18"]
# What works through shards on a cluster; from Python 3.10 on.
BEAM = ["apache-beam>=2.77,<2.78 ; python_version >= '3.10'"]
DOCS = [
  "mkdocs-material>=9.5,<10",
  "mkdocstrings[python]>=0.27",
  "mkdocs-jupyter>=0.25",
]
HERE = pathlib.Path(__file__).parent

setuptools.setup(
  name="tsenh",
  version="0.2.0",
  description=(
    "Facial deep-learning feature compression with teacher-student"
    " enhancement: the codec of arXiv 2002.03627 in TensorFlow/Keras"
  ),
  long_description=(HERE / "README.md").read_text(encoding="utf-8"),
  long_description_content_type="text/markdown",
  license="Apache-2.0",
  python_requires=">=3.9,<3.12",
  packages=[*setuptools.find_packages(include=["tsenh*"]), "tsenh.trained"],
  # The trained codecs lie at the top, for all to see, and inside the package
  # once it is installed.
  package_dir={"tsenh.trained": "checkpoints"},
  package_data={
    "tsenh": ["py.typed"],
    "tsenh.data": ["*.npz", "*.json", "*.md"],
    "tsenh.trained": [
      *("*/config.json", "*/weights.npz", "*/tables.npz"),
      *("enhancers/*/config.json", "enhancers/*/weights.npz"),
      "enhancers/*/high/*",
      "expressions/*/*",
      "students/*/*",
      *("images/*/*/config.json", "images/*/*/*.npz"),
    ],
  },
  # Their features are part of a clone alone, and so are these.
  # The learned layer of images is larger than what is left below 45 MB.
  exclude_package_data={
    "tsenh.trained": ["rank64-*/*", "dlib-*/*", "images/*/residual/*"]
  },
  install_requires=[
    # The last full release of tensorflow-compression, and what it fits.
    "tensorflow==2.14.1",
    "tensorflow-compression==2.14.1",
    "keras==2.14.0",
    "numpy>=1.23.5,<2",
    "scipy>=1.10",
    "absl-py>=1.4",
    "tqdm>=4.64",
  ],
  entry_points={"console_scripts": ["tsenh = tsenh.__main__:main"]},
  extras_require={
    # The tables and figures of the experiments.
    "report": REPORT,
    # All that `make paper` takes: the baselines of `evaluate` too. The last
    # Faiss for Python 3.9 is 1.13.0.
    "paper": [*REPORT, "faiss-cpu>=1.13.0,<1.16", "threadpoolctl>=3.1"],
    # onnx from 1.18 on needs a newer ml_dtypes than TensorFlow 2.14.
    "export": ["tf2onnx>=1.16.1,<2", "onnx>=1.15,<1.18", *ONNX],
    # From photographs to features: with each runtime of face networks.
    "photos": PHOTOS,
    "ncnn": [*PHOTOS, *NCNN],
    "onnx": [*PHOTOS, *ONNX],
    "dlib": DLIB,
    "beam": BEAM,
    # Expressions of faces: training, and two networks put together.
    "expressions": EXPRESSIONS,
    "fast": FAST,
    # An entropy coder to time ours beside. PyTorch is left to the user: `pip
    # install torch`, the build for CPUs.
    "benchmark": BENCHMARK,
    "test": [
      *("pytest>=7.4", "pytest-xdist>=3.5", "hypothesis>=6.90"),
      *("ruff==0.17.6", *BENCHMARK),
      *(*EXPRESSIONS, *NCNN, *ONNX, *DLIB),
    ],
    # Atheris 2.3 is the last for Python 3.9 and 3.10.
    "fuzz": ["atheris>=2.3,<4", "coverage>=7.4"],
    "docs": DOCS,
  },
)
