"""The generated code, and what generates it."""

import shutil
import subprocess
import sys
from pathlib import Path

from teams_lib.codegen import PACKAGE, PROTOBUFS, CodegenError, compile_protos

import pytest

GENERATED = ["teams_pb2.py", "teams_pb2.pyi", "teams_pb2_grpc.py", "teams_pb2_grpc.pyi"]


def test_the_committed_code_is_what_the_contract_compiles_to(tmp_path: Path) -> None:
    written = compile_protos(out=tmp_path)
    assert sorted(file.name for file in written) == sorted(GENERATED)
    for file in written:
        assert file.read_text(encoding="utf-8") == (PACKAGE / file.name).read_text(encoding="utf-8"), (
            f"{file.name}: run python -m teams_lib.codegen"
        )


def test_the_generated_modules_import_each_other_through_their_package(tmp_path: Path) -> None:
    protos = tmp_path / "a folder with spaces"
    protos.mkdir()
    (protos / "first.proto").write_text('syntax = "proto3"; message First { int32 n = 1; }', encoding="utf-8")
    (protos / "second.proto").write_text(
        'syntax = "proto3"; import "deep/er/first.proto"; service S { rpc Get(First) returns (First); }',
        encoding="utf-8",
    )
    compile_protos(protos, tmp_path / "out", package="deep.er")
    run = subprocess.run(
        [sys.executable, "-c", "from deep.er import second_pb2_grpc; print(second_pb2_grpc.SStub.__name__)"],
        cwd=tmp_path / "out",
        capture_output=True,
        encoding="utf-8",
    )
    assert (run.stdout, run.stderr) == ("SStub\n", "")


def test_an_empty_package_makes_top_level_modules(tmp_path: Path) -> None:
    (tmp_path / "alone.proto").write_text('syntax = "proto3"; message Alone {}', encoding="utf-8")
    assert tmp_path / "out" / "alone_pb2.py" in compile_protos(tmp_path, tmp_path / "out", package="")


def test_a_folder_without_protos_is_named(tmp_path: Path) -> None:
    with pytest.raises(CodegenError) as caught:
        compile_protos(tmp_path)
    assert str(caught.value) == f"There is no .proto file in {tmp_path}. Pass the folder that holds them as `source`."


def test_a_plugin_that_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, path=None: None)
    with pytest.raises(CodegenError) as caught:
        compile_protos(out=tmp_path)
    assert str(caught.value) == "protoc-gen-mypy_grpc is missing. Install it: pip install -r requirements.txt"


def test_the_types_that_protobuf_brings_along_can_be_imported(tmp_path: Path) -> None:
    (tmp_path / "dated.proto").write_text(
        'syntax = "proto3"; import "google/protobuf/timestamp.proto"; '
        "message Dated { google.protobuf.Timestamp at = 1; }",
        encoding="utf-8",
    )
    assert tmp_path / "dated_pb2.py" in compile_protos(tmp_path, tmp_path, package="")


def test_a_mistake_in_a_proto_is_reported_in_the_words_of_protoc(tmp_path: Path) -> None:
    (tmp_path / "wrong.proto").write_text(
        'syntax = "proto3"; message Wrong { string city = 1; string nick = 1; }', encoding="utf-8"
    )
    with pytest.raises(CodegenError, match='Field number 1 has already been used in "Wrong" by field "city"'):
        compile_protos(tmp_path, tmp_path / "out", package="")


def test_the_program_says_what_it_wrote(tmp_path: Path) -> None:
    for folder in (PACKAGE, PROTOBUFS):
        shutil.copytree(folder, tmp_path / folder.name)
    run = subprocess.run(
        [sys.executable, "-m", "teams_lib.codegen"], cwd=tmp_path, capture_output=True, encoding="utf-8"
    )
    assert run.stdout.splitlines() == [f"wrote {Path('teams_lib', name)}" for name in GENERATED], run.stderr
