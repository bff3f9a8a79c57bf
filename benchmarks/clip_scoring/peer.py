"""clip-retrieval's inference of FOLDER/{0,1}.tar by its own reader, mapper and writer, in the order
of its Runner; a round for each line of stdin. Runs in an environment of its own."""

import json
import os
import resource
import sys
import time

from all_clip import load_clip
from clip_retrieval.clip_inference.mapper import ClipMapper
from clip_retrieval.clip_inference.reader import WebdatasetReader
from clip_retrieval.clip_inference.writer import NumpyWriter


def cpu_seconds() -> float:
    """Of this process and of its children that have ended: the DataLoader's workers."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def main() -> None:
    folder, batch = sys.argv[1], int(sys.argv[2])
    model = f"open_clip:ViT-B-32/{folder}/weights.safetensors"
    _, preprocess, tokenizer = load_clip(model, use_jit=False, warmup_batch_size=1)
    mapper = ClipMapper(True, True, False, False, model, False, "", warmup_batch_size=batch)
    tars = [f"{folder}/0.tar", f"{folder}/1.tar"]

    def embed() -> int:
        workers = min(2, os.cpu_count() or 1)
        reader = WebdatasetReader(lambda urls: urls, preprocess, tokenizer, tars, batch, workers)
        writer = NumpyWriter(0, f"{folder}/peer", True, True, False, 1)
        pictures = 0
        for part in reader:
            writer(mapper(part))
            pictures += len(part["image_tensor"])
        writer.flush()
        return pictures

    embed()
    print("ready", flush=True)
    for _ in sys.stdin:
        wall, cpu = time.monotonic(), cpu_seconds()
        pictures = embed()
        spent = {"wall_s": time.monotonic() - wall, "cpu_s": cpu_seconds() - cpu}
        print(json.dumps({"pictures": pictures} | spent), flush=True)


if __name__ == "__main__":
    main()
