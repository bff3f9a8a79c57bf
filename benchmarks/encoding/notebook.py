"""OpenAI's dVAE encoder as the notebook usage.ipynb of its package calls it, for encode.py.

Run by the Python in which the package DALL-E is installed; one line of stdin is a round of so many
pictures. PIL reads a file, torchvision resizes (Lanczos) and crops, the module makes logits of one
picture in float32, and the largest gives the code.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import PIL.Image
import torch
import torchvision.transforms as T
import torchvision.transforms.functional as TF
from dall_e import map_pixels
from dall_e.encoder import Encoder

SIDE_PX = 256


def preprocess(path):
    image = PIL.Image.open(path)
    scale = SIDE_PX / min(image.size)
    size = [round(scale * image.size[1]), round(scale * image.size[0])]
    image = TF.resize(image, size, interpolation=T.InterpolationMode.LANCZOS)
    image = TF.center_crop(image, 2 * [SIDE_PX])
    return map_pixels(torch.unsqueeze(T.ToTensor()(image), 0))


def main(folder):
    torch.set_num_threads(1)  # as the others of this benchmark: figures are per core
    weights = torch.load(folder / "encoder.pt", weights_only=True)
    encoder = Encoder(n_hid=weights["blocks.input.w"].shape[0])
    encoder.load_state_dict(weights)
    print("ready", flush=True)
    for line in sys.stdin:
        start = time.process_time()
        pictures = [preprocess(folder / f"{number:05d}.jpg") for number in range(int(line))]
        loaded = time.process_time()
        with torch.no_grad():
            codes = [torch.argmax(encoder(one), axis=1)[0].numpy() for one in pictures]
        done = time.process_time()
        np.save(folder / "notebook.npy", np.stack(codes))
        found = {"load_s": loaded - start, "encode_s": done - loaded}
        print(json.dumps({k: v / int(line) for k, v in found.items()}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
