"""The words of the report, explained to who does not use them every day."""

GLOSSARY = (
    ("Adversarial image", "An image changed on purpose, by very little, so that the model answers wrongly."),
    (
        "Budget, eps",
        "How large the change may be. L∞ 1/255 lets every pixel move by one step of an 8-bit image; "
        "L2 limits the length of the whole change.",
    ),
    ("White box", "The attacker knows the network and its weights: the strongest position, and the one from which safety is judged."),
    ("Black box", "The attacker can only send images and read the answers."),
    ("Goal reached", "Share of the images on which the adversary got just what it was after, of those where it could be tried."),
    ("Worst case", "An image counts as right only if every attack at this budget failed on it."),
    ("Accuracy", "Share of right answers; with several findings, of right findings."),
    ("Balanced accuracy", "The mean of the accuracies of the classes: rare classes count as much as frequent ones."),
    (
        "Sensitivity, specificity",
        "Share of diseased found, and of healthy cleared, at one fixed threshold; for several classes, the mean over classes.",
    ),
    (
        "Weighted kappa",
        "Agreement of grades beyond chance, where a miss by two grades counts four times a miss by one: 1 is perfect, 0 is chance.",
    ),
    ("AUROC", "How well the scores rank: 0.5 is chance, 1 is perfect. It needs no threshold."),
    ("Broken", "Share of the images answered rightly before the attack that are answered wrongly after it."),
    ("Fooling rate", "Share of decisions that changed, whatever the truth."),
)
