"""Forward a port of a host to its loopback, as `ssh -L` does: forward.py HOST PORT TO."""

import asyncio
import sys


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(65536):
        writer.write(piece)
        await writer.drain()
    writer.close()


async def main(host: str, port: int, to: int) -> None:
    """Until it is ended."""

    async def passed_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", to)
        both = (_copy(reader, inner_writer), _copy(inner_reader, writer))
        await asyncio.gather(*both, return_exceptions=True)

    server = await asyncio.start_server(passed_on, host, port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
