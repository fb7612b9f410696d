"""Compile .proto files into Python: what notebook 02 does by hand.

python -m teams_lib.codegen      regenerates teams_lib/teams_pb2.py and its companions from protobufs/teams.proto
"""

import argparse
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Final

PACKAGE: Final = Path(__file__).parent
PROTOBUFS: Final = PACKAGE.parent / "protobufs"
"""The folder of the course's contracts; it is there in a checkout, installed as this course is."""


class CodegenError(RuntimeError):
    """The compiler, or one of its plugins, did not do its work; ``str(error)`` holds what it said."""


def compile_protos(source: Path = PROTOBUFS, out: Path = PACKAGE.parent, package: str = PACKAGE.name) -> list[Path]:
    """Compile every .proto file of a folder into modules of a Python package.

    Four files come out for each ``x.proto``: ``x_pb2.py`` (messages), ``x_pb2_grpc.py`` (stub and servicer), and a
    ``.pyi`` with the types of each. The messages' types come from protoc itself, those of the stub and the servicer
    from mypy-protobuf, because ``--pyi_out`` leaves them out.

    Args:
        source: the folder that holds the .proto files.
        out: the folder above the package.
        package: the package's name, with dots for subpackages. The generated modules import each other through it
            (``from teams_lib import teams_pb2``); ``""`` makes top-level modules.

    Returns:
        The files written, sorted by name.

    Raises:
        CodegenError: there is no .proto file in ``source``, it has mistakes, or the types' plugin is not installed.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     [file.name for file in compile_protos(out=Path(folder))]
        ['teams_pb2.py', 'teams_pb2.pyi', 'teams_pb2_grpc.py', 'teams_pb2_grpc.pyi']

    Source: https://protobuf.dev/reference/python/python-generated/ and https://grpc.io/docs/languages/python/basics/
    """
    protos = sorted(source.glob("*.proto"))
    if not protos:
        raise CodegenError(f"There is no .proto file in {source}. Pass the folder that holds them as `source`.")
    plugin = shutil.which("protoc-gen-mypy_grpc", path=sysconfig.get_path("scripts")) or shutil.which(
        "protoc-gen-mypy_grpc"
    )
    if plugin is None:
        raise CodegenError("protoc-gen-mypy_grpc is missing. Install it: pip install -r requirements.txt")
    virtual = package.replace(".", "/")
    out.mkdir(parents=True, exist_ok=True)
    # `-I a=b` tells protoc to read folder b as if it were a: the generated imports follow the virtual path, so that
    # they work inside a package without being edited afterwards.
    run = subprocess.run(
        [
            *(sys.executable, "-m", "grpc_tools.protoc"),
            f"-I{virtual}={source}" if virtual else f"-I{source}",
            f"--python_out={out}",
            f"--pyi_out={out}",
            f"--grpc_python_out={out}",
            f"--plugin=protoc-gen-mypy_grpc={plugin}",
            f"--mypy_grpc_out={out}",
            *(f"{virtual}/{proto.name}" if virtual else proto.name for proto in protos),
        ],
        capture_output=True,
        encoding="utf-8",  # protoc's, whatever the system's is
        errors="replace",
    )
    if run.returncode:
        raise CodegenError(run.stderr.strip())
    stems = tuple(proto.stem.replace("-", "_") for proto in protos)
    return sorted(
        out / virtual / f"{stem}_pb2{kind}" for stem in stems for kind in (".py", ".pyi", "_grpc.py", "_grpc.pyi")
    )


def main() -> None:
    """Regenerate the course's own modules."""
    argparse.ArgumentParser(prog="python -m teams_lib.codegen", description=main.__doc__).parse_args()
    try:
        for file in compile_protos():
            print(f"wrote {file.relative_to(PACKAGE.parent)}")
    except CodegenError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
