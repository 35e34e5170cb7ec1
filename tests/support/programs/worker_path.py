"""Prints what a worker of a Ray that we start has on its path, and where it finds our packages."""

import sys

from search.cluster import connection


def _seen() -> list[str]:
    import search
    import spkmodel.config

    return [search.__file__, spkmodel.config.__file__, *sys.path]


if __name__ == "__main__":
    with connection.connect("local"):
        import ray

        sys.stdout.write("\n".join(ray.get(ray.remote(_seen).remote())))
