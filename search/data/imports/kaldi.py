"""Read a data folder of Kaldi (`wav.scp`, `utt2spk`, `trials`) or WeSpeaker (`raw.list`).

Nothing that these files say is run: a line of `wav.scp` that is a command is refused, apart from
FLAC's decoder, whose file is read as it is.
"""

import json
import re
from pathlib import Path

from search.core.errors import UsageError
from search.data.imports.foreign_corpus import (
    ForeignCorpus,
    ForeignUtterance,
    find_file,
    require_usable,
)
from spkmodel.core.shell import quote_path
from spkmodel.data.formats.existing import is_file
from spkmodel.data.lists import ListError, numbered_lines

_FLAC = re.compile(r"(?:\S*/)?flac((?:\s+-\w+)+)\s+(?P<path>\S+)\s*\|")
_DECODERS = (
    _FLAC,
    # As the recipes for VoxCeleb2 have it; no option that picks a channel or a stretch.
    re.compile(
        r"(?:\S*/)?ffmpeg(?:\s+(?:-nostdin|-hide_banner|-(?:v|loglevel)\s+\S+))*\s+-i\s+(?P<path>\S+)"
        r"(?:\s+-(?:f\s+wav|acodec\s+pcm_s16le|ac\s+1|ar\s+16000))+\s+-?\s*\|"
    ),
    re.compile(r"(?:\S*/)?sph2pipe(?:\s+-f\s+wav|\s+-p)*\s+(?P<path>\S+)\s*\|"),
)
"""Commands that decode a file and nothing else: in place of their output, the file is read."""
_ARCHIVE = re.compile(r"\.ark:\d+(\[.*\])?$")


def read_kaldi(folder: Path) -> ForeignCorpus:
    """Return the utterances of a folder, and its `trials` if it has them.

    Raises:
        UsageError: for a folder of another form, or with commands, archives or segments.
        ListError: for a wrong line.
    """
    if (folder / "raw.list").is_file() and not (folder / "wav.scp").exists():
        return ForeignCorpus(_read_raw_list(folder / "raw.list"), _find_trials(folder))
    if (folder / "shard.list").is_file() and not (folder / "wav.scp").exists():
        raise UsageError(
            f"{quote_path(folder / 'shard.list')}: shards are tar files, which are not read; "
            "import the folder that they were made of (wav.scp, utt2spk, or raw.list)"
        )
    files = _read_wav_scp(folder)
    if (folder / "segments").exists():
        cut = quote_path(folder / "cut")
        raise UsageError(
            f"{quote_path(folder / 'segments')}: utterances are parts of recordings, which are not "
            f"read; cut them first, then list the parts in wav.scp and take segments away: mkdir "
            f"{cut} && while read -r utterance recording start end; do ffmpeg -nostdin -i "
            f'"$(awk -v r="$recording" \'$1 == r {{print $2}}\' {quote_path(folder / "wav.scp")})" '
            f'-ss "$start" -to "$end" {cut}/"$utterance".flac; done < '
            f"{quote_path(folder / 'segments')}"
        )
    speaker_of = _read_speakers(folder)
    unknown = [name for name in files if name not in speaker_of]
    if unknown:
        raise UsageError(
            f"{quote_path(folder / 'utt2spk')}: {len(unknown)} of {len(files)} utterances of "
            f"wav.scp have no speaker in it, such as {quote_path(unknown[0])}; add them"
        )
    found = {name: find_file(path) for name, path in files.items()}
    require_usable(folder / "wav.scp", found)
    more = len(speaker_of) - len(files)
    return ForeignCorpus(
        [
            ForeignUtterance(name, speaker_of[name], file)
            for name, file in found.items()
            if file is not None
        ],
        _find_trials(folder),
        [f"{more} utterances of utt2spk are not in wav.scp"] if more else [],
    )


def _read_wav_scp(folder: Path) -> dict[str, Path]:
    path = folder / "wav.scp"
    if not path.exists():
        raise UsageError(
            f"{quote_path(folder)} has neither wav.scp nor raw.list; a data folder of Kaldi has "
            "wav.scp and utt2spk"
        )
    files: dict[str, Path] = {}
    for number, line in numbered_lines(path):
        # A path may have spaces in it: it goes to the end of the line.
        name, *rest = line.split(maxsplit=1)
        if name in files:
            raise ListError(path, number, f"{quote_path(name)} is listed twice")
        files[name] = _locate(folder, path, number, rest[0].strip() if rest else "")
    return files


def _locate(folder: Path, path: Path, number: int, text: str) -> Path:
    for decoder in _DECODERS:
        if match := decoder.fullmatch(text):
            text = match["path"]
            break
    # Kaldi takes a path as it is; others quote one that has spaces.
    if len(text) > 2 and text[0] == text[-1] and text[0] in "\"'" and not is_file(folder / text):
        text = text[1:-1]
    if text.endswith("|"):
        out = quote_path(folder / "wav")
        raise ListError(
            path,
            number,
            "a command, which is not run; run the commands yourself, if you trust them, and list "
            "what they write",
            remedy=f"mkdir {out} && while read -r utterance command; do sh -c "
            f'"${{command%|}}" > {out}/"$utterance".wav; done < {quote_path(path)} && '
            f'awk \'{{print $1, "wav/" $1 ".wav"}}\' {quote_path(path)} > '
            f"{quote_path(f'{path}.new')} && mv {quote_path(f'{path}.new')} {quote_path(path)}",
        )
    if not text:
        raise ListError(path, number, "no path; a line is '<utterance> <path>'")
    if _ARCHIVE.search(text):
        raise ListError(path, number, "a place in an archive (.ark); only files of audio are read")
    return folder / text


def _read_speakers(folder: Path) -> dict[str, str]:
    path = folder / "utt2spk"
    if path.exists():
        return _read_utt2spk(path)
    path = folder / "spk2utt"
    if path.exists():
        lines = (line.split() for _, line in numbered_lines(path))
        return {utterance: words[0] for words in lines for utterance in words[1:]}
    raise UsageError(f"{quote_path(folder)} has neither utt2spk nor spk2utt: who speaks is unknown")


def _read_utt2spk(path: Path) -> dict[str, str]:
    speaker_of: dict[str, str] = {}
    for number, line in numbered_lines(path):
        words = line.split()
        if len(words) != 2 or speaker_of.setdefault(*words) != words[1]:
            raise ListError(path, number, "a line is '<utterance> <speaker>', each utterance once")
    return speaker_of


def _read_raw_list(path: Path) -> list[ForeignUtterance]:
    rows = []
    for number, line in numbered_lines(path):
        try:
            row = json.loads(line)
            rows.append((str(row["key"]), str(row["spk"]), path.parent / str(row["wav"])))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ListError(
                path, number, 'no JSON object with "key", "wav" and "spk", as raw.list has them'
            ) from error
    found = {name: find_file(file) for name, _, file in rows}
    require_usable(path, found)
    return [
        ForeignUtterance(name, speaker, file)
        for name, speaker, _ in rows
        if (file := found[name]) is not None
    ]


def _find_trials(folder: Path) -> Path | None:
    found = sorted(path for path in folder.glob("trials*") if path.is_file())
    if len(found) > 1 and folder / "trials" not in found:
        names = ", ".join(quote_path(path) for path in found)
        raise UsageError(f"several lists of pairs: {names}; choose one: --test FILE")
    return folder / "trials" if folder / "trials" in found else next(iter(found), None)
