"""The built-in corpus, spoken offline by eSpeak NG."""


class DemoCorpusError(RuntimeError):
    """The built-in corpus cannot be made here."""
