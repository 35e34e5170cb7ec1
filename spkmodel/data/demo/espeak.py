"""Speak for one voice, in a process that is run by path and imports nothing of this package.

eSpeak NG keeps state between utterances and random numbers between voices: only a fresh process
with a set seed says the same samples again. Standard input holds a JSON request
`{"library", "data", "voice", "seed", "utterances": [{"text", "words_per_minute", "pitch"}]}`,
standard output the sample rate and then, of each utterance, a count and that many int16 samples;
the numbers are 32 bits, little-endian.
"""

import array
import ctypes
import json
import struct
import sys
from typing import Any

_SYNCHRONOUS, _DO_NOT_EXIT = 2, 0x8000
_WORDS_PER_MINUTE, _PITCH = 1, 3
_UTF8 = 1

_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


class _Speaker:
    def __init__(self, library: str, data: str, voice: str) -> None:
        self._library = ctypes.CDLL(library)
        self.rate = self._library.espeak_Initialize(_SYNCHRONOUS, 0, data.encode(), _DO_NOT_EXIT)
        if self.rate <= 0:
            sys.exit(f"eSpeak NG finds no data in {data}")
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            sys.exit(f"eSpeak NG has no voice {voice}")
        self._spoken = bytearray()
        # The library keeps only the pointer, so the callback must live as long as it does.
        self._callback = _Callback(self._receive)
        self._library.espeak_SetSynthCallback(self._callback)

    def _receive(self, samples: Any, count: int, _events: Any) -> int:
        if samples and count > 0:
            self._spoken += ctypes.string_at(samples, 2 * count)
        return 0

    def say(self, text: str, words_per_minute: int, pitch: int, seed: int) -> bytes:
        """Return the samples of one utterance as native int16 bytes."""
        self._spoken.clear()
        self._library.espeak_ng_SetRandSeed(ctypes.c_long(seed))
        self._library.espeak_SetParameter(_WORDS_PER_MINUTE, words_per_minute, 0)
        self._library.espeak_SetParameter(_PITCH, pitch, 0)
        words = text.encode()
        size = ctypes.c_size_t(len(words) + 1)
        if self._library.espeak_Synth(words, size, 0, 1, 0, _UTF8, None, None) != 0:
            sys.exit(f"eSpeak NG could not say: {text}")
        return bytes(self._spoken)


def _main() -> None:
    request = json.load(sys.stdin.buffer)
    speaker = _Speaker(request["library"], request["data"], request["voice"])
    out = sys.stdout.buffer
    out.write(struct.pack("<i", speaker.rate))
    for number, utterance in enumerate(request["utterances"]):
        samples = array.array("h", speaker.say(**utterance, seed=request["seed"] + number))
        if sys.byteorder == "big":
            samples.byteswap()
        out.write(struct.pack("<i", len(samples)))
        out.write(samples.tobytes())


if __name__ == "__main__":
    _main()
