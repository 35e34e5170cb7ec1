"""A shell reads a quoted path as the path itself."""

import os
import subprocess

import pytest

from spkmodel.core.shell import quote_path

PLAIN = ["plain/a.wav", "my file.wav", "it's.wav", 'say "x".wav', "$HOME`ls`.wav", "~x", ""]
PLAIN += ["back\\slash.wav", "-dash", "żółć.wav"]
STRANGE = ["a\nb.wav", "\x1b[2J", "tab\there", "nbsp\u00a0here", "\udcff.wav"]


@pytest.mark.parametrize("name", PLAIN + STRANGE)
def test_a_shell_reads_a_quoted_path_as_the_path_itself(name):
    quoted = quote_path(name)
    assert quoted.isprintable()
    said = subprocess.run(["bash", "-c", f"printf %s {quoted}"], capture_output=True, check=True)
    assert os.fsdecode(said.stdout) == name


def test_a_plain_path_stays_as_it_is():
    assert quote_path("wav/s00/u-1_b.wav") == "wav/s00/u-1_b.wav"
