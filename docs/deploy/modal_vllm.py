"""A stage folder on a rented GPU that is only paid for while somebody asks: vLLM on Modal.

pip install modal, modal setup, then once for a run:
    modal volume create glaswerk-runs
    modal volume put glaswerk-runs runs/wikipedia-en/sft /wikipedia-en/sft
    modal secret create glaswerk-keys VLLM_API_KEY=a-key-of-your-own
    modal deploy docs/deploy/modal_vllm.py

Left out: what a cold start costs (docs/deploy.md).
"""

import subprocess

import modal

#: the stage inside the volume, the name that clients use, and the GPU; a small model needs no more
STAGE, NAME, GPU = "/runs/wikipedia-en/sft", "wikipedia-en", "T4"
MINUTES = 60

app = modal.App("glaswerk")
image = modal.Image.debian_slim(python_version="3.12").uv_pip_install("vllm").env({"VLLM_CACHE_ROOT": "/compiled"})
#: the weights: written once, read by every container, in no image
runs = modal.Volume.from_name("glaswerk-runs", create_if_missing=True)
#: what vLLM compiles at its first start, so that the second finds it
compiled = modal.Volume.from_name("glaswerk-vllm-cache", create_if_missing=True)


@app.function(
    image=image,
    gpu=GPU,
    volumes={"/runs": runs, "/compiled": compiled},
    secrets=[modal.Secret.from_name("glaswerk-keys")],
    scaledown_window=5 * MINUTES,  # how long it stays after the last request: paid for, but warm
    timeout=10 * MINUTES,
)
@modal.concurrent(max_inputs=64)  # one container batches many requests; more of them start another
@modal.web_server(port=8000, startup_timeout=10 * MINUTES)
def serve() -> None:
    """Start the server; Modal waits until the port answers. The key is in the environment, where vLLM looks for it."""
    subprocess.Popen(["vllm", "serve", STAGE, "--served-model-name", NAME, "--port", "8000"])
