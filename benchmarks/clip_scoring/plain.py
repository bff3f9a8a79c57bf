"""open_clip as its README goes, on FOLDER/pairs.parquet; a round for each line of stdin."""

import io
import json
import sys
import time
from pathlib import Path

import numpy as np
import open_clip
import pyarrow.parquet as pq
import torch
from PIL import Image


def main() -> None:
    folder, batch = Path(sys.argv[1]), int(sys.argv[2])
    model, _, preprocess = open_clip.create_model_and_transforms(
        "ViT-B-32", pretrained=str(folder / "weights.safetensors")
    )
    model.eval()
    tokenizer = open_clip.get_tokenizer("ViT-B-32")
    table = pq.read_table(folder / "pairs.parquet")
    data, captions = table["image"].to_pylist(), table["caption"].to_pylist()

    def embed(start: int) -> tuple[np.ndarray, np.ndarray]:
        pictures = [Image.open(io.BytesIO(one)) for one in data[start : start + batch]]
        images = torch.stack([preprocess(one) for one in pictures])
        with torch.no_grad():
            found = (
                model.encode_image(images, normalize=True),
                model.encode_text(tokenizer(captions[start : start + batch]), normalize=True),
            )
        return found[0].numpy().astype(np.float16), found[1].numpy().astype(np.float16)

    def embed_all() -> None:
        images, texts = zip(*map(embed, range(0, len(data), batch)), strict=True)
        np.save(folder / "plain-text.npy", np.concatenate(texts))
        np.save(folder / "plain.npy", np.concatenate(images))

    embed_all()
    print("ready", flush=True)
    for _ in sys.stdin:
        wall, cpu = time.monotonic(), time.process_time()
        embed_all()
        spent = {"wall_s": time.monotonic() - wall, "cpu_s": time.process_time() - cpu}
        print(json.dumps({"pictures": len(data)} | spent), flush=True)


if __name__ == "__main__":
    main()
