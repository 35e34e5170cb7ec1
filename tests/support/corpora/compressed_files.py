"""Files of compressed audio, made by PyAV."""

from pathlib import Path

import av
import numpy as np


def tone(rate, seconds=1.0, hertz=440):
    """A sine at half of full scale, float32."""
    time = np.arange(round(seconds * rate)) / rate
    return (0.5 * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def write_compressed(path: Path, codec, waveform, rate, channels=1, samples=None):
    """Encode a waveform, alike in every channel; the format is that of the path's suffix.

    `samples` names the encoder's form of samples, such as "s16p", where it has several.
    """
    layout = {1: "mono", 2: "stereo"}[channels]
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=rate, layout=layout)
        stream.bit_rate = 64_000
        if samples is not None:
            stream.format = samples
        planes = np.tile(np.asarray(waveform, dtype=np.float32), (channels, 1))
        frame = av.AudioFrame.from_ndarray(planes, format="fltp", layout=layout)
        frame.sample_rate, frame.pts = rate, 0
        converted = av.AudioResampler(stream.format.name, layout, rate, stream.frame_size or None)
        for part in [*converted.resample(frame), *converted.resample(None)]:
            out.mux(stream.encode(part))
        out.mux(stream.encode(None))
    return path
