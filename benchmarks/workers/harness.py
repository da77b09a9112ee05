"""lm-evaluation-harness's side of `benchmarks.lm_eval`.

    python benchmarks/workers/harness.py GGUF FOLDER

`FOLDER` takes the weights of `GGUF` as float32 in Hugging Face layout, unless it has them. Then
each line of stdin is a job, `{"rows": FILE, "batch": N}`, and each line of stdout its result: the
seconds that `loglikelihood` took, the accuracy, and the log-probabilities of each row's choices.
`FILE` is JSON Lines of `prompt`, `choices` and `target`, the index of the right one.
"""

import contextlib
import json
import sys
import time
from pathlib import Path
from typing import Any


def unpack(gguf: Path, folder: Path) -> None:
    """The weights of `gguf` as transformers has them, without any sign of their quantisation."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    where = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    found = AutoModelForCausalLM.from_pretrained(**where)
    config = found.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    plain: Any = type(found)(config)
    plain.load_state_dict(found.state_dict())
    plain.float().save_pretrained(folder)
    AutoTokenizer.from_pretrained(**where).save_pretrained(folder)


def evaluate(model: Any, rows: Path, batch: int) -> dict[str, object]:
    """Run one task of `rows` through the harness; only the model's own work is timed."""
    from lm_eval import simple_evaluate  # type: ignore[import-not-found]

    task = {
        "task": "rows",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(rows)}},
        "test_split": "test",
        "output_type": "multiple_choice",
        "doc_to_text": "prompt",  # columns as they are, no template over them
        "doc_to_choice": "choices",
        "doc_to_target": "target",
        "target_delimiter": "",
        "num_fewshot": 0,
        "metric_list": [{"metric": "acc"}],
    }
    seconds = 0.0
    whole = model.loglikelihood

    def timed(requests: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal seconds
        start = time.perf_counter()
        answers = whole(requests, *args, **kwargs)
        seconds += time.perf_counter() - start
        return answers

    model.batch_size_per_gpu = batch
    model.loglikelihood = timed
    try:
        results = simple_evaluate(model, tasks=[task], log_samples=True, bootstrap_iters=0)
    finally:
        model.loglikelihood = whole
    samples = sorted(results["samples"]["rows"], key=lambda one: one["doc_id"])
    return {
        "seconds": seconds,
        "accuracy": results["results"]["rows"]["acc,none"],
        "logprobs": [[answer[0] for answer in one["filtered_resps"]] for one in samples],
    }


def main() -> None:
    gguf, folder = Path(sys.argv[1]), Path(sys.argv[2])
    with contextlib.redirect_stdout(sys.stderr):  # stdout carries results alone
        from lm_eval.models.huggingface import HFLM  # type: ignore[import-not-found]

        if not (folder / "config.json").is_file():
            unpack(gguf, folder)
        model = HFLM(pretrained=str(folder), device="cpu", dtype="float32")
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        job = json.loads(line)
        with contextlib.redirect_stdout(sys.stderr):
            result = evaluate(model, Path(job["rows"]), job["batch"])
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
