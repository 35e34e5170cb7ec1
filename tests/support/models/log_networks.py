"""The log's network, small enough for a test, in every form of its entries."""

from bench.support.published_networks import altered
from spkmodel.config import LogNet

SMALL = LogNet(
    in_channels=4, channels=(4, 5, 6), resblocks=(0, 1, 2), dense=(19, 19), embedding_norm="none"
)
AXES = {
    "no_skip": {"skip": False},
    "max_skip": {"skip_pooling": "max"},
    "in_resblock": {"in_resblock": True, "in_kernel": 3},
    "kernel_4": {"kernel": 4},
    "kernel_7": {"kernel": 7},
    "o2": {"order": "O2"},
    "o3": {"order": "O3"},
    "no_bottleneck": {"bottleneck": False},
    "relu_no_norm": {"activation": "relu", "resblock_norm": "none"},
    "eblock_norm": {"eblock_norm": "batch"},
    "eblock_layer_norm": {"eblock_norm": "layer", "eblock_norm_place": "first"},
    "norm_between": {"eblock_norm": "batch", "eblock_norm_place": "between", "order": "O2"},
    "batch_renorm": {
        "resblock_norm": "batch_renorm",
        "renorm": {"hold_batches": 0, "r_batches": 0, "d_batches": 0},
    },
    "layer_norm": {"resblock_norm": "layer", "in_resblock": True},
    "lecun": {"init": "lecun"},
    "act_first": {"dense_act_first": True, "dense": (19,), "dropout": 0.2},
    "no_se": {"se_resblock": False, "se_eblock": False},
    "se_first_conv": {"se_first_conv": True},
    "max_pooling": {"global_pooling": "max"},
    "no_dense_skip": {"dense_skip": False, "dense": (10, 7)},
    "wide_dense_skip": {"dense": (30,)},
    "out_block": {"out_dim": 9, "dropout": 0.3},
    "batch": {"embedding_norm": "batch"},
    "layer": {"embedding_norm": "layer"},
    "l2": {"embedding_norm": "l2"},
    "add": {"merge": "add"},
    "add_falling": {"merge": "add", "channels": (8, 5, 3), "skip_pooling": "max"},
}
EVERY = {name: altered(SMALL, **changes) for name, changes in AXES.items()}
