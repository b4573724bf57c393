"""ROF: scikit-image's iteration, a gradient that is the derivative of that iteration, and one that skips it."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.restoration import denoise_tv_chambolle

from robustdx.draws import Draws
from robustdx.errors import PlanError
from robustdx.purifiers import PURIFIERS, ROF
from robustdx.purifiers.rof import denoised
from robustdx.purifiers.rof.backward import checkpointed, implicit
from robustdx.purifiers.rof.dual import gathered, slopes, unrolled

DRAWS = Draws(0, ("a", "b"))


def images(*shape, seed=0, dtype=torch.float32):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def of_skimage(x, weight, iterations):
    """Each channel by itself; never stopped early."""
    return np.stack([denoise_tv_chambolle(im, weight=weight, eps=0, max_num_iter=iterations, channel_axis=0) for im in x.numpy()])


def by_the_book(f, weight, iterations):
    """Vectorial total variation of one image (C, H, W) in numpy, written from the equations: one length for all channels."""
    p = np.zeros((2, *f.shape))
    for k in range(iterations):
        u = f - p[0] - p[1]
        u[:, 1:] += p[0][:, :-1]
        u[:, :, 1:] += p[1][:, :, :-1]
        g = np.zeros_like(p)
        g[0][:, :-1], g[1][:, :, :-1] = np.diff(u, axis=1), np.diff(u, axis=2)
        if k + 1 < iterations:
            p = (p - g / 4) / (1 + np.sqrt((g**2).sum((0, 1))) / 4 / weight)
    return u


shapes = st.tuples(st.integers(1, 3), st.sampled_from([1, 3]), st.integers(2, 19), st.integers(2, 19))


@settings(max_examples=60, deadline=None)
@given(shapes, st.floats(0.005, 2), st.integers(1, 60), st.sampled_from([torch.float32, torch.float64]), st.integers(0, 9))
def test_channel_by_channel_it_is_scikit_image(shape, weight, iterations, dtype, seed):
    """The fused kernel in float32, plain torch in float64."""
    x = images(*shape, seed=seed, dtype=dtype)
    np.testing.assert_allclose(denoised(x, weight, iterations).numpy(), of_skimage(x, weight, iterations), atol=1e-5)


@settings(max_examples=60, deadline=None)
@given(shapes, st.floats(0.005, 2), st.integers(1, 60), st.sampled_from([torch.float32, torch.float64]), st.integers(0, 9))
def test_coupled_it_is_vectorial_total_variation(shape, weight, iterations, dtype, seed):
    x = images(*shape, seed=seed, dtype=dtype)
    expected = np.stack([by_the_book(im, weight, iterations) for im in x.double().numpy()])
    np.testing.assert_allclose(denoised(x, weight, iterations, coupled=True).numpy(), expected, atol=1e-5)


def test_one_channel_coupled_or_not_is_the_same():
    x = images(2, 1, 9, 8)
    torch.testing.assert_close(denoised(x, 0.1, 20, coupled=True), denoised(x, 0.1, 20))


def test_the_slopes_and_their_transpose():
    u, p = images(2, 3, 6, 7, dtype=torch.float64), images(2, 2, 3, 6, 7, dtype=torch.float64)
    p[0, ..., -1, :], p[1, ..., :, -1] = 0, 0
    torch.testing.assert_close((slopes(u) * p).sum(), (u * gathered(p)).sum())


@pytest.mark.parametrize("coupled", [False, True])
def test_the_gradient_is_the_derivative(coupled):
    """Plain torch in float64 against finite differences."""
    x = images(1, 3, 4, 3, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: denoised(x, 0.1, 7, coupled), (x,), atol=1e-6)


@pytest.mark.parametrize("coupled", [False, True])
@pytest.mark.parametrize("form", ["unrolled", "implicit"])
def test_the_kernels_gradients_are_those_of_plain_torch(form, coupled):
    x, towards = images(2, 3, 11, 13), images(2, 3, 11, 13, seed=1)
    plain = {"unrolled": unrolled, "implicit": implicit}[form]
    fast, exact = x.clone().requires_grad_(), x.double().requires_grad_()
    (denoised(fast, 0.1, 31, coupled, form) * towards).sum().backward()
    (plain(exact, 0.1, 30, coupled) * towards).sum().backward()
    torch.testing.assert_close(fast.grad, exact.grad.float(), atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("steps", [1, 2, 3, 7, 16])
def test_any_number_of_steps_goes_back_whole(steps):
    """The way back keeps some states and makes the others again: no number of them may fall between."""
    x = images(1, 1, 7, 6).requires_grad_()
    (fast,) = torch.autograd.grad(denoised(x, 0.1, steps + 1).square().sum(), x)
    for form in (unrolled, checkpointed):
        (plain,) = torch.autograd.grad(form(x, 0.1, steps, False).square().sum(), x)
        torch.testing.assert_close(fast, plain, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("coupled", [False, True])
def test_converged_the_implicit_gradient_is_the_unrolled_one(coupled):
    x, towards = images(1, 3, 8, 9, dtype=torch.float64).requires_grad_(), images(1, 3, 8, 9, seed=1, dtype=torch.float64)
    grads = [torch.autograd.grad((form(x, 0.05, 500, coupled) * towards).sum(), x)[0] for form in (unrolled, implicit)]
    assert (grads[0] - grads[1]).norm() <= 0.01 * grads[0].norm()


def test_flat_images_have_a_gradient():
    """Where nothing slopes, the length of the slope has no derivative; the image has."""
    for dtype in (torch.float32, torch.float64):
        x = torch.full((1, 3, 6, 6), 0.5, dtype=dtype, requires_grad=True)
        (grad,) = torch.autograd.grad(denoised(x, 0.1, 10).sum(), x)
        torch.testing.assert_close(grad, torch.ones_like(grad))


def test_a_batch_equals_its_singles_to_the_bit_on_any_number_of_threads():
    x, before = images(5, 3, 17, 12), torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        together = denoised(x, 0.1, 20)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(together, torch.cat([denoised(one[None], 0.1, 20) for one in x]))
    assert torch.equal(together, denoised(x.contiguous(memory_format=torch.channels_last), 0.1, 20))


def test_nothing_to_do_is_the_identity():
    x = images(2, 3, 6, 7)
    assert torch.equal(ROF(weight=0)(x, DRAWS), x)
    assert torch.equal(ROF(iterations=1)(x, DRAWS), x)


def test_by_name_and_inside_the_unit_interval():
    rof = PURIFIERS.parse({"name": "rof", "weight": 0.3, "coupled": True})
    assert PURIFIERS.parse(PURIFIERS.dump(rof)) == rof
    low, high = rof(images(2, 3, 16, 16).round(), DRAWS).aminmax()
    assert 0 <= low <= high <= 1


def test_it_is_exported_as_plain_torch():
    class Denoise(torch.nn.Module):
        def forward(self, x):
            return denoised(x, 0.1, 3, True)

    x = images(2, 3, 8, 8)
    torch.testing.assert_close(torch.export.export(Denoise(), (x,)).module()(x), denoised(x, 0.1, 3, True))


def test_values_that_are_no_numbers_stay_so():
    """The relaxed arithmetic of the kernel must not hide them."""
    x = images(1, 1, 6, 6)
    x[0, 0, 2, 3] = float("nan")
    assert denoised(x, 0.1, 5).isnan().any()


def test_the_kernels_do_without_a_place_to_keep_what_was_compiled():
    """numba finds none for a function that lies in no file, and says so; then each process compiles anew."""
    from robustdx.purifiers.rof.kernel import compiled

    names = {}
    exec("def one_more(x): return x + 1", names)
    assert compiled(names["one_more"])(1) == 2


@pytest.mark.parametrize(("settings", "words"), [({"weight": -1}, "at least 0"), ({"iterations": 0}, "at least 1")])
def test_what_means_nothing_is_refused(settings, words):
    with pytest.raises(PlanError, match=words):
        ROF(**settings)
