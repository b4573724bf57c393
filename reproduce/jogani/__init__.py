"""Jogani et al. 2022: FGSM and PGD against a skin-lesion CNN, and three kinds of adversarial training."""
