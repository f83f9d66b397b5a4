"""Reports with made-up figures, for what draws and prints them."""

from __future__ import annotations

from pathlib import Path

from quantize.perplexity import Divergence
from quantize.report import Report
from quantize.scores import Estimate
from quantize.speed import Speed


def made_up(
    file_type: str, *, megabytes: float, kld: float | None = 0.05, decode_tokens_per_s: float | None = 80.0
) -> Report:
    """A report; None for what was not measured."""
    quality = None
    if kld is not None:
        quality = Divergence(
            perplexity=Estimate(20.5, 0.25),
            reference_perplexity=Estimate(19.5, 0.24),
            kld_mean=Estimate(kld, kld / 10),
            kld_median=kld / 2,
            kld_99=kld * 9,
            kld_max=kld * 50,
            same_top=Estimate(0.912, 0.004),
            n_ctx=512,
            n_windows=20,
            n_tokens=5100,
        )
    speed = None
    if decode_tokens_per_s is not None:
        speed = Speed(
            prefill_tokens_per_s=252.4,
            decode_tokens_per_s=decode_tokens_per_s,
            n_prompt=510,
            n_decode=64,
            peak_bytes=201_500_000,
            load_ms=90.0,
            n_ctx=592,
        )
    return Report(
        path=Path(f"model-{file_type}.gguf"),
        file_type=file_type,
        n_params=135_000_000,
        size_bytes=int(megabytes * 1e6),
        bpw=8 * megabytes / 135,
        quality=quality,
        speed=speed,
    )
