"""ECAPA-TDNN, x-vector, ResNet-34 and CAM++, small enough for a test."""

from spkmodel.config import ECAPATDNN, CAMPlusPlus, LogMel, ResNet34, XVector

MELS = LogMel(mels=20)

SMALL = {
    "ecapa_tdnn": ECAPATDNN(
        channels=16, scale=4, squeeze_dim=4, summary_dim=12, embedding_dim=8, features=MELS
    ),
    "x_vector": XVector(channels=8, summary_dim=12, segment_dim=10, embedding_dim=8, features=MELS),
    "resnet34": ResNet34(
        channels=(4, 6, 8, 8), blocks=(1, 1, 2, 1), embedding_dim=8, features=MELS
    ),
    "cam_plus_plus": CAMPlusPlus(
        head_channels=4,
        channels=8,
        growth=4,
        bottleneck=6,
        blocks=(2, 1),
        dilations=(1, 2),
        segment_frames=7,
        embedding_dim=8,
        features=MELS,
    ),
}
