"""llama.cpp's own server as `xllamacpp` has it, for `benchmarks.llama_server`.

    python benchmarks/workers/llama_server.py GGUF PORT SLOTS CELLS BATCH THREADS

Serves on 127.0.0.1 until it is killed; `CELLS` are those of all slots together.
"""

import sys
import threading

import xllamacpp  # type: ignore[import-not-found]

port, slots, cells, batch, threads = map(int, sys.argv[2:])
params = xllamacpp.CommonParams()
params.model.path, params.port = sys.argv[1], port
params.n_parallel, params.n_ctx = slots, cells
params.n_batch = params.n_ubatch = batch
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
params.n_threads_http = slots + 2
params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_ENABLED
server = xllamacpp.Server(params)
threading.Event().wait()
