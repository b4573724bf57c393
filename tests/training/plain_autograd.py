"""Objectives written out by hand with plain autograd, straight from their papers, sharing no line with the library.

Each takes a network that is fed pixels, images, integer labels and the random numbers that the library drew; under Linf, for classes.
Modes are switched as the papers' loops do it, and the loss is (B,).
"""

import copy

import torch
from torch.nn import functional as F


def ce(z, y):
    return -F.log_softmax(z, 1)[torch.arange(len(y)), y]


def clip(x_adv, x, eps):
    return torch.max(torch.min(x_adv, x + eps), x - eps).clamp(0, 1)


def slope(f, x):
    x = x.clone().requires_grad_(True)
    return torch.autograd.grad(f(x).sum(), x)[0]


def pgd(net, x, y, start, eps, alpha, steps):
    net.eval()
    x_adv = start
    for _ in range(steps):
        x_adv = clip(x_adv + alpha * slope(lambda z: ce(net(z), y), x_adv).sign(), x, eps)
    net.train()
    return x_adv


def madry(net, x, y, start, eps, alpha, steps):
    return ce(net(pgd(net, x, y, start, eps, alpha, steps)), y)


def mixed(net, x, y, start, coin, eps, alpha, steps):
    shown = [pgd(net, x, y, x, eps, eps, 1), pgd(net, x, y, start, eps, alpha, steps)]
    x_adv = torch.stack([shown[c][i] for i, c in enumerate(coin.tolist())])
    return 0.5 * ce(net(x), y) + 0.5 * ce(net(x_adv), y)


def mpadvt(net, x, y, starts, perturbed, eps, steps, alpha):
    shown = []
    for i in range(len(x)):
        one, label = x[i : i + 1], y[i : i + 1]
        shown.append(pgd(net, one, label, starts[i], float(eps[i]), alpha, int(steps[i])) if perturbed[i] else one)
    return ce(net(torch.cat(shown)), y)


def kl(p, q):
    return (p * (p.log() - q.log())).sum(1)


def trades(net, x, y, start, eps, alpha, steps, beta):
    net.eval()
    clean, x_adv = net(x).softmax(1).detach(), start
    for _ in range(steps):
        x_adv = clip(x_adv + alpha * slope(lambda z: kl(clean, net(z).softmax(1)), x_adv).sign(), x, eps)
    net.train()
    z = net(x)
    return ce(z, y) + beta * kl(z.softmax(1), net(x_adv).softmax(1))


def mart(net, x, y, start, eps, alpha, steps, beta):
    x_adv = pgd(net, x, y, start, eps, alpha, steps)
    p, q = net(x).softmax(1), net(x_adv).softmax(1)
    rows = torch.arange(len(y))
    others = q.clone()
    others[rows, y] = -1
    boosted = -q[rows, y].log() - (1 - others.max(1).values).log()
    return boosted + beta * kl(p, q) * (1 - p[rows, y])


def mart_of_findings(net, x, y, start, eps, alpha, steps, beta):
    """Finding by finding: boosted cross-entropy and weighted divergence of two Bernoulli distributions; the mean over those annotated."""
    given = ~y.isnan()

    def bce(z):
        each = F.binary_cross_entropy_with_logits(z, y.nan_to_num(), reduction="none")
        return torch.stack([each[i][given[i]].mean() if given[i].any() else each[i].sum() * 0 for i in range(len(y))])

    net.eval()
    x_adv = start
    for _ in range(steps):
        x_adv = clip(x_adv + alpha * slope(lambda z: bce(net(z)), x_adv).sign(), x, eps)
    net.train()
    p, q = net(x).sigmoid(), net(x_adv).sigmoid()
    losses = []
    for i in range(len(y)):
        terms = []
        for j in range(y.shape[1]):
            if given[i, j]:
                right_p, right_q = (p[i, j], q[i, j]) if y[i, j] == 1 else (1 - p[i, j], 1 - q[i, j])
                wrong_q = 1 - right_q
                apart = right_p * (right_p / right_q).log() + (1 - right_p) * ((1 - right_p) / (1 - right_q)).log()
                terms.append(-right_q.log() - (1 - wrong_q).log() + beta * (1 - right_p) * apart)
        losses.append(torch.stack(terms).mean() if terms else q[i].sum() * 0)
    return torch.stack(losses)


def awp(net, x, y, x_adv, gamma):
    """The loss, and the gradients that the weights of `net` are given: those of a copy that is moved in place and moved back."""
    proxy = copy.deepcopy(net)
    slopes = torch.autograd.grad(ce(proxy(x_adv), y).mean(), list(proxy.parameters()))
    moves = [gamma * w.norm() * g / g.norm() if w.dim() > 1 else 0 * w for w, g in zip(net.parameters(), slopes, strict=True)]
    for w, v in zip(net.parameters(), moves, strict=True):
        w.data += v.data
    loss = ce(net(x_adv), y)
    loss.mean().backward()
    for w, v in zip(net.parameters(), moves, strict=True):
        w.data -= v.data
    return loss


def n_fgsm(net, x, y, start, eps):
    net.eval()
    x_adv = (start + eps * slope(lambda z: ce(net(z), y), start).sign()).clamp(0, 1)
    net.train()
    return ce(net(x_adv), y)


def grad_align(net, x, y, noisy, eps, weight):
    x_adv = pgd(net, x, y, x, eps, eps, 1)
    loss = ce(net(x_adv), y)
    slopes = []
    for z in (x, noisy):
        z = z.clone().requires_grad_(True)
        slopes.append(torch.autograd.grad(ce(net(z), y).sum(), z, create_graph=True)[0].flatten(1))
    return loss + weight * (1 - F.cosine_similarity(*slopes, dim=1))


def free(net, x, y, start, eps, replays):
    total, x_t = 0, start
    for _ in range(replays):
        z = x_t.clone().requires_grad_(True)
        loss = ce(net(z), y)
        (g,) = torch.autograd.grad(loss.sum(), z, retain_graph=True)
        total, x_t = total + loss, clip(x_t + eps * g.sign(), x, eps)
    return total / replays


def universal(net, x, y, v, eps, alpha, steps):
    net.eval()
    for _ in range(steps):
        v = (v + alpha * slope(lambda u: ce(net((x + u).clamp(0, 1)), y).mean(), v).sign()).clamp(-eps, eps)
    net.train()
    return ce(net((x + v).clamp(0, 1)), y)


def focal(net, x, y, gamma):
    loss = ce(net(x), y)
    return (1 - (-loss).exp()) ** gamma * loss
