"""The layout of TensorBoard's CUSTOM SCALARS tab."""

import re

from tensorboard.compat.proto import summary_pb2
from tensorboard.plugins.custom_scalar import layout_pb2, metadata
from tensorboard.util import tensor_util


def summary(tags):
  """Makes a Summary with a chart per tag and a category per group.

  Args:
    tags: in order, such as 'Sparsity/{network}/{layer}', whose chart has a line
      for each network and layer.

  Returns:
    summary_pb2.Summary.
  """
  layout, categories = layout_pb2.Layout(), {}
  for tag in tags:
    group, _, rest = tag.partition('/')
    if group not in categories:
      categories[group] = layout.category.add(title=group)
    pattern = re.sub(r'\\{\w+\\}', '[^/]+', re.escape(tag))
    chart = categories[group].chart.add(title=rest)
    chart.multiline.tag.append(f'^{pattern}$')
  return summary_pb2.Summary(
    value=[
      summary_pb2.Summary.Value(
        tag=metadata.CONFIG_SUMMARY_TAG,
        metadata=metadata.create_summary_metadata(),
        tensor=tensor_util.make_tensor_proto(layout.SerializeToString()),
      )
    ]
  )
