"""Trains SQ-E, a residual network behind scalar quantization (Fig. 3).

  python -m tsenh.train_sq_enhancer --qp=50

It learns to map what SQ decodes at one QP to the original features, so that the
receiver gets better ones from the same bytes: decode and evaluate take an SQ
codec of that QP (sq-50, or a run of train_sq) with --enhancer=RUN. The defaults
are the paper's recipe. About two minutes.

Paper-silent (sq_e_blocks): the number and the width of the residual blocks.
Two, because the paper says blocks; each as wide as the feature.

The run folder is as that of train_enhancer, without a high-rate codec.
"""

from absl import flags

from tsenh.base import command_line
from tsenh.data import streams
from tsenh.features import sq
from tsenh.training import command, recipe

_QP = flags.DEFINE_integer(
  "qp",
  None,
  "Quantization parameter of the SQ that is enhanced.",
  lower_bound=0,
  upper_bound=sq.MAX_QP,
)
_BLOCKS = flags.DEFINE_integer(
  "blocks", 2, "Number of residual blocks.", lower_bound=1
)
flags.adopt_module_key_flags(recipe)  # So that --help shows them.
flags.mark_flag_as_required("qp")


def main():
  recipe.begin()
  training_set = command.training_set()
  faces = training_set.features
  dim = faces.shape[1]

  from tsenh.features.sq_enhancer import SQEnhancer, squared_error

  quantizer = sq.ScalarQuantizer(_QP.value, dim)
  enhancer = SQEnhancer(
    feature_dim=dim,
    hidden_dim=recipe.HIDDEN_DIM.value,
    num_blocks=_BLOCKS.value,
    gdn=recipe.GDN.value,
    seed=recipe.SEED.value,
  )
  label = f"sq-e-{_QP.value}"
  folder, config = recipe.open_run(
    label,
    enhancer,
    training_set,
    qp=quantizer.qp,
    low_digest=quantizer.digest(),
  )
  if config is None:
    return

  def loss_fn(batch, _):
    loss = squared_error(enhancer(batch["decoded"]), batch["features"])
    return loss, loss / dim

  def coded(features):
    return quantizer.decode(quantizer.encode(features))

  decoded = streams.in_chunks(coded, faces)
  examples = {"decoded": decoded, "features": faces}
  config = recipe.train(
    enhancer, loss_fn, ("loss", "mse"), examples, folder, config, label
  )
  mse = config["last_epoch"]["mse"]
  about = f"MSE {mse:.3e} over the last epoch"
  recipe.finish(folder, config, enhancer, about)


if __name__ == "__main__":
  command_line.run(main)
