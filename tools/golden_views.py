"""Generates fixtures/views.safetensors: Pillow's and torchvision's transformations of small images.

Usage: python tools/golden_views.py OUT_FILE

Inputs and results are uint8 tensors [H, W, C], named in.NAME.PARAMETERS and out.NAME.PARAMETERS.
colours.NAME.PARAMETERS is the SHA-256 of the result on all 2^24 colours: red changes slowest, blue
fastest.
"""

import hashlib
import sys

import numpy as np
import torchvision.transforms.functional as F
from PIL import Image, ImageEnhance, ImageFilter, ImageOps
from safetensors.numpy import save_file

SIZES = [(32, 32, 3), (17, 23, 3), (28, 28, 1), (9, 40, 1)]
FILTERS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


def picture(rng, height, width, channels):
    """Smooth colours with hard edges and noise, to exercise the filters."""
    y, x = np.mgrid[:height, :width] / max(height, width)
    waves = [np.sin(7 * x * (c + 1) + 3 * y) * 90 + 120 for c in range(channels)]
    pixels = np.stack(waves, -1) + rng.normal(0, 20, (height, width, channels))
    pixels[height // 3 : height // 2, width // 4 : width // 2] = rng.integers(0, 256, channels)
    return np.clip(pixels, 0, 255).astype(np.uint8)


def to_pil(pixels):
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def to_numpy(image):
    pixels = np.asarray(image)
    return pixels[:, :, None] if pixels.ndim == 2 else pixels


def rand_augment(image):
    """What RandAugment may do to an image; N in a name is for the image's number."""
    yield "autocontrast.N", ImageOps.autocontrast(image)
    yield "equalize.N", ImageOps.equalize(image)
    yield "invert.N", ImageOps.invert(image)
    for bits in [1, 3, 4]:
        yield f"posterize.N.{bits}", ImageOps.posterize(image, bits)
    yield "solarisefrom.N.87", ImageOps.solarize(image, 87)
    add = [min(255, value + 105) if value < 128 else value for value in range(256)]
    yield "solariseadd.N.105", image.point(add * len(image.getbands()))
    for factor in [0.1, 1.0, 1.83]:
        yield f"sharpness.N.{factor}", ImageEnhance.Sharpness(image).enhance(factor)
    fill = (124, 116, 104)[: len(image.getbands())]
    for name, way in [("bilinear", Image.Resampling.BILINEAR), ("bicubic", Image.Resampling.BICUBIC)]:
        for degrees in [-28.5, 17.0]:
            result = image.rotate(degrees, way, fillcolor=fill)
            yield f"rotate{name}.N.{degrees}", result
        for matrix in [(1, 0.27, 0, 0, 1, 0), (1, 0, 0, -0.3, 1, 0), (1, 0, -7.35, 0, 1, 4.05)]:
            result = image.transform(image.size, Image.AFFINE, matrix, way, fillcolor=fill)
            yield f"affine{name}.N.{','.join(map(str, matrix))}", result


def main(path):
    rng = np.random.default_rng(0)
    tensors = {}

    def record(name, source, result):
        tensors[f"in.{name}"] = np.ascontiguousarray(source)
        tensors[f"out.{name}"] = np.ascontiguousarray(to_numpy(result))

    for number, size in enumerate(SIZES):
        source = picture(rng, *size)
        image = to_pil(source)
        for name, resampling in FILTERS.items():
            for height, width in [(12, 15), (48, 31)]:
                result = image.resize((width, height), resampling)
                record(f"{name}.{number}.{height}.{width}", source, result)
        for sigma in [0.1, 0.35, 0.8, 1.3, 2.0, 5.0]:
            record(f"blur.{number}.{sigma}", source, image.filter(ImageFilter.GaussianBlur(sigma)))
        for factor in [0.6, 1.0, 1.37]:
            record(f"brightness.{number}.{factor}", source, F.adjust_brightness(image, factor))
            record(f"contrast.{number}.{factor}", source, F.adjust_contrast(image, factor))
            record(f"saturation.{number}.{factor}", source, F.adjust_saturation(image, factor))
        for factor in [-0.5, -0.1, 0.0, 0.07, 0.43]:
            record(f"hue.{number}.{factor}", source, F.adjust_hue(image, factor))
        record(f"greyscale.{number}", source, F.to_grayscale(image, size[2]))
        record(f"solarise.{number}", source, ImageOps.solarize(image))
        result = F.center_crop(F.resize(image, 20, F.InterpolationMode.BICUBIC), 15)
        record(f"evaluation.{number}.20.15", source, result)
        if number % 2 == 1:
            for name, result in rand_augment(image):
                record(name.replace("N", str(number), 1), source, result)
    colours = np.indices((256, 256, 256), np.uint8).reshape(3, 4096, 4096).transpose(1, 2, 0)
    colours = Image.fromarray(np.ascontiguousarray(colours))
    changes = {
        "hue.-0.1": F.adjust_hue(colours, -0.1),
        "hue.0.07": F.adjust_hue(colours, 0.07),
        "saturation.0.8": F.adjust_saturation(colours, 0.8),
        "saturation.1.2": F.adjust_saturation(colours, 1.2),
    }
    for name, changed in changes.items():
        digest = hashlib.sha256(np.asarray(changed).tobytes()).digest()
        tensors[f"colours.{name}"] = np.frombuffer(digest, np.uint8)
    save_file(tensors, path)


if __name__ == "__main__":
    main(sys.argv[1])
