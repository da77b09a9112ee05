"""Turn a Llama-like GGUF file into a folder in Hugging Face layout, which vLLM can serve.

    python scripts/hf_folder.py MODEL.gguf FOLDER

Weights are unpacked to 32-bit floats. The tokenizer and the chat template come along. It needs
transformers, accelerate and gguf, which the environment of `make test-vllm` has.
"""

import argparse
from pathlib import Path
from typing import Any


def convert(source: Path, folder: Path) -> None:
    from transformers import AutoModelForCausalLM, LlamaForCausalLM

    place, name = str(source.parent), source.name
    model = AutoModelForCausalLM.from_pretrained(place, gguf_file=name)
    config: Any = model.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config  # it would announce weights that are packed no longer
    plain = LlamaForCausalLM(config)
    plain.load_state_dict(model.state_dict())
    plain.save_pretrained(folder)
    tokenizer(source).save_pretrained(folder)


def tokenizer(source: Path) -> Any:
    """The file's tokenizer. transformers leaves out that SmolLM's splits texts at every digit."""
    from gguf import GGUFReader
    from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence
    from transformers import AutoTokenizer

    found: Any = AutoTokenizer.from_pretrained(str(source.parent), gguf_file=source.name)
    field = GGUFReader(source).get_field("tokenizer.ggml.pre")
    if field is not None and field.contents() == "smollm":
        digits = Digits(individual_digits=True)
        found.backend_tokenizer.pre_tokenizer = Sequence(
            [digits, ByteLevel(add_prefix_space=False)]
        )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    convert(arguments.source, arguments.folder)


if __name__ == "__main__":
    main()
