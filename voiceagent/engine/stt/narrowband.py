"""A telephone-band acoustic model, derived from the wide-band model inside the pocketsphinx wheel.

The bundled model sees 25 mel filters from 130 to 6800 Hz; a phone line ends below 4 kHz, and that mismatch
costs more than noise or G.711. Liftered cepstra are linear in the (smoothed) log-mel vector, ``c = L D m``.
Keeping only the lowest 18 filters gives

    c' = L D18 S D25ᵀ L⁻¹ c = M c            (M is 13 by 13)

so each Gaussian can be moved as it is: ``mean' = M mean``, ``var' = diag(M diag(var) Mᵀ)``, for the static,
delta and delta-delta streams alike. Model definition, senone weights and transitions stay the same, and so do
dictionary and language models. Eighteen filters carry only eleven cepstra; the last two dimensions get mean 0
and one large variance, which takes them out of the scores.

The result is two files of 0.84 MB in the user's cache, made once. The bundled model has a BSD-style licence.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import struct
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

VERSION = 1
"""Part of the cached folder's name: raise it when the derivation changes."""

RATE = 8000
WIDE_FILTERS = 25
NARROW_FILTERS = 18
CEPSTRA = 13
CARRIED = 11
LIFTER = 22
LOWEST_HZ = 130.0
HIGHEST_HZ = 3446.5
IGNORED_VARIANCE = 1000.0
RESIDUAL = (0.0, 0.0, 0.1, 0.2, 0.3, 0.5, 0.8, 1.5, 3.5, 36.0, 58.0)
RESIDUAL_SCALE = 5.0
"""Variance that the smoothing of the mel vector hides, per carried cepstrum; accuracy is flat in it."""

FEAT_PARAMS = f"""-lowerf {LOWEST_HZ:g}
-upperf {HIGHEST_HZ:g}
-nfilt {NARROW_FILTERS}
-samprate {RATE}
-transform dct
-lifter {LIFTER}
-feat 1s_c_d_dd
-svspec 0-12/13-25/26-38
-agc none
-cmn batch
-varnorm no
-model ptm
-remove_noise no
"""

_MAGIC = 0x11223344


def read_gaussians(path: Path) -> tuple[tuple[int, ...], Floats]:
    """Read a Sphinx-3 ``means`` or ``variances`` file.

    Returns the shape ``(codebooks, streams, densities, length)`` and the values in that shape.
    """
    import numpy as np

    data = path.read_bytes()
    mark = b"endhdr\n"
    at = data.index(mark) + len(mark)
    order = "<" if struct.unpack_from("<I", data, at)[0] == _MAGIC else ">"
    codebooks, streams, densities = struct.unpack_from(f"{order}3I", data, at + 4)
    lengths = struct.unpack_from(f"{order}{streams}I", data, at + 16)
    (count,) = struct.unpack_from(f"{order}I", data, at + 16 + 4 * streams)
    start = at + 20 + 4 * streams
    if set(lengths) != {CEPSTRA} or count != codebooks * streams * densities * CEPSTRA:
        raise ValueError(f"{path.name}: not a model of {CEPSTRA} cepstra per stream")
    shape = (int(codebooks), int(streams), int(densities), CEPSTRA)
    values = np.frombuffer(data, dtype=f"{order}f4", count=count, offset=start)
    return shape, values.reshape(shape).astype(np.float64)


def write_gaussians(path: Path, values: Floats) -> None:
    """Write ``values`` (codebooks, streams, densities, 13) as a Sphinx-3 file without checksum."""
    codebooks, streams, densities, length = values.shape
    head = b"s3\nversion 1.0\nendhdr\n"
    numbers = struct.pack(
        f"<{5 + streams}I", _MAGIC, codebooks, streams, densities, *([length] * streams), values.size
    )
    path.write_bytes(head + numbers + values.astype("<f4").tobytes())


def band_matrix() -> Floats:
    """Return M of the module's text: wide-band liftered cepstra to narrow-band ones, (13, 13)."""
    import numpy as np

    def dct(filters: int) -> Floats:
        rows = np.arange(CEPSTRA)[:, None]
        columns = np.arange(filters)[None, :]
        matrix = np.sqrt(2.0 / filters) * np.cos(np.pi / filters * rows * (columns + 0.5))
        matrix[0] = np.sqrt(1.0 / filters)
        return matrix

    lifter = 1.0 + LIFTER / 2 * np.sin(np.arange(CEPSTRA) * np.pi / LIFTER)
    mel = dct(WIDE_FILTERS).T / lifter[None, :]
    matrix: Floats = lifter[:, None] * (dct(NARROW_FILTERS) @ mel[:NARROW_FILTERS])
    return matrix


def derive(means: Floats, variances: Floats) -> tuple[Floats, Floats]:
    """Return the narrow-band means and variances, both (codebooks, streams, densities, 13)."""
    import numpy as np

    matrix = band_matrix()
    new_means = means @ matrix.T
    new_variances = variances @ (matrix**2).T
    residual = np.zeros(CEPSTRA)
    residual[:CARRIED] = np.array(RESIDUAL) * RESIDUAL_SCALE
    spread = new_variances.mean(axis=(0, 2)) + new_means.var(axis=(0, 2))
    for stream in range(means.shape[1]):
        new_variances[:, stream] += residual * (spread[stream] / spread[0])
    new_means[..., CARRIED:] = 0.0
    new_variances[..., CARRIED:] = IGNORED_VARIANCE
    return new_means, new_variances


def narrowband_model(stock: Path, cache: Path) -> Path:
    """Return the folder with ``means``, ``variances`` and ``feat.params``, making it first if need be.

    ``stock`` is the wide-band model's folder, whose other files serve both. The derived folder appears in
    ``cache`` whole or not at all, so any number of processes may race here. Without a writable cache a
    temporary folder serves this process.
    """
    digest = hashlib.sha256((stock / "means").read_bytes() + (stock / "variances").read_bytes())
    name = f"narrowband-v{VERSION}-{digest.hexdigest()[:12]}"
    target = cache / name
    if (target / "feat.params").is_file():
        return target
    try:
        cache.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=cache))
    except OSError:
        work = Path(tempfile.mkdtemp(prefix="voiceagent-"))
        target = work / name
        work = work / "making"
        work.mkdir()
    _fill(stock, work)
    try:
        os.replace(work, target)
    except OSError:
        shutil.rmtree(work, ignore_errors=True)
        if not (target / "feat.params").is_file():
            raise
    return target


def _fill(stock: Path, folder: Path) -> None:
    _, means = read_gaussians(stock / "means")
    _, variances = read_gaussians(stock / "variances")
    new_means, new_variances = derive(means, variances)
    write_gaussians(folder / "means", new_means)
    write_gaussians(folder / "variances", new_variances)
    (folder / "feat.params").write_text(FEAT_PARAMS, encoding="ascii")
