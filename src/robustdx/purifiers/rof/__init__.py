"""Rudin-Osher-Fatemi denoising: plain torch, a fused kernel on the processor, and two gradients."""

from robustdx.purifiers.rof.purifier import ROF, Gradient, denoised

__all__ = ["ROF", "Gradient", "denoised"]
