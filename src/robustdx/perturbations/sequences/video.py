"""Frames as a video holds them: the benchmarks of ImageNet-P and of Xu et al. were stored as H.264 and read back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from types import ModuleType
from typing import Literal, final

import numpy as np
import torch
from numpy.typing import NDArray

from robustdx.draws import Draws
from robustdx.errors import MissingExtra
from robustdx.perturbations.protocol import FrameSequence
from robustdx.tensors import Images

Pictures = NDArray[np.uint8]


@final
@dataclass(frozen=True, kw_only=True)
class Filmed:
    """Another sequence, stored as H.264 and read back, as released (Hendrycks and Dietterich 2019; Xu et al. 2021).

    libx264, preset veryslow; `-tune grain` for noise, `-crf 20` for the rest; a video for each image, colour not thinned out
    (yuv444p, which ffmpeg takes for RGB pictures). It changes every frame, the clean one too, and frames depend on those around them.
    All frames of a batch are held, 8 bits each, before the first is given back.
    """

    sequence: FrameSequence
    """What is filmed."""

    def __post_init__(self) -> None:
        _av()

    @property
    def compared(self) -> Literal["previous", "first"]:
        """As the sequence that is filmed."""
        return self.sequence.compared

    @property
    def random(self) -> bool:
        """As the sequence that is filmed."""
        return self.sequence.random

    def frames(self, x: Images, count: int, draws: Draws) -> Iterator[Images]:
        made = self.sequence.frames(x, count, draws)  # refuses what it cannot take, now
        return self._developed(x, made)

    def _developed(self, x: Images, made: Iterator[Images]) -> Iterator[Images]:
        taken = np.stack([_pictures(frame) for frame in made])
        films = np.stack([through_h264(taken[:, i], grain=self.compared == "first") for i in range(len(x))])
        for i in range(films.shape[1]):
            frame = torch.from_numpy(films[:, i]).permute(0, 3, 1, 2).to(x) / 255
            yield frame if x.shape[1] == 3 else frame.mean(1, keepdim=True)


def through_h264(pictures: Pictures, *, grain: bool) -> Pictures:
    """RGB pictures (frames, H, W, 3) encoded as one video in memory, and decoded.

    Raises:
        MissingExtra: PyAV is not installed.
    """
    av, file = _av(), BytesIO()
    with av.open(file, "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=1)
        stream.height, stream.width, stream.pix_fmt = *pictures.shape[1:3], "yuv444p"
        stream.codec_context.thread_count = 1  # the same bytes on every machine
        stream.options = {"preset": "veryslow", **({"tune": "grain"} if grain else {"crf": "20"})}
        for picture in pictures:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")))
        out.mux(stream.encode())
    file.seek(0)
    with av.open(file) as film:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)])


def _pictures(frame: Images) -> Pictures:
    """(B, H, W, 3), as 8 bits hold them."""
    rgb = frame.expand(-1, 3, -1, -1)
    return rgb.detach().mul(255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()


def _av() -> ModuleType:
    try:
        import av
    except ImportError:
        raise MissingExtra("av", "video", "sending sequences through H.264") from None
    return av
