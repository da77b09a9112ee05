"""What a command must not import: seconds at every start, for nothing."""

import os
from pathlib import Path

import pytest

from tests.cli.program import modules

HEAVY = {
    "faiss",
    "httpx",
    "huggingface_hub",
    "langchain",
    "langchain_core",
    "llama_cpp",
    "numpy",
    "onnxruntime",
    "sentence_transformers",
    "tokenizers",
    "torch",
    "transformers",
}


@pytest.mark.parametrize("argument", ["--help", "--version"])
def test_the_first_page_imports_nothing_heavy(argument: str) -> None:
    assert modules(argument) & (HEAVY | {"pydantic", "rich"}) == set()


def test_completing_a_commands_name_imports_nothing_heavy() -> None:
    variables = {"_TRIVIUM_COMPLETE": "complete_bash", "COMP_WORDS": "trivium ", "COMP_CWORD": "1"}
    assert modules(env=os.environ | variables) & (HEAVY | {"pydantic", "rich"}) == set()


@pytest.mark.parametrize("command", [["ask", "-h"], ["models", "-h"], ["config"]])
def test_pages_and_settings_import_no_model_library(command: list[str]) -> None:
    assert modules(*command) & HEAVY == set()


@pytest.mark.model
@pytest.mark.usefixtures("real_models")
def test_ask_on_a_ready_index_imports_neither_torch_nor_langchain(tmp_path: Path) -> None:
    (tmp_path / "sea.md").write_text("# The sea\n\nThe lighthouse was built in 1822 by Fresnel.\n")
    question = ["ask", "When was the lighthouse built?", str(tmp_path / "sea.md")]
    modules(*question, "--no-answer")  # builds the index
    imported = modules(*question)
    assert "llama_cpp" in imported, "it must have answered with the model"
    unwanted = {"torch", "transformers", "sentence_transformers"}
    assert {n for n in imported if n.startswith("lang")} | (imported & unwanted) == set()
