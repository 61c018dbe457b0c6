"""Handwritten digits: their mean, their principal components, and what is left without the rest."""

import numpy as np
from pictures import arguments, panels, save

from fastnn.datasets import load_digits
from fastnn.preprocessing import PCA, Whiten


def show(place, image, title, limits=None):
    low, high = limits or (-abs(image).max(), abs(image).max())
    place.imshow(image.reshape(8, 8), cmap="gray", vmin=low, vmax=high)
    place.set_title(title, fontsize=7)
    place.set(xticks=[], yticks=[])


def main():
    args = arguments(__doc__)
    X = load_digits().X
    pca = PCA().fit(X)
    share = pca.explained_variance_ratio_.cumsum()
    counts = (8, 16, 32)
    for count in counts:
        kept = PCA(count).fit(X)
        back = kept.inverse_transform(kept.transform(X))
        error = ((X - back) ** 2).sum() / ((X - X.mean(0)) ** 2).sum()
        print(f"{count} of 64 components: {share[count - 1]:.1%} of the variance, {error:.1%} lost")
    whiten = Whiten(n_components=32).fit(X)
    z = whiten.transform(X)
    spread = np.cov(z.T, bias=True)
    print(f"whitened: variances {spread.diagonal().min():.3f} to {spread.diagonal().max():.3f}")
    figure, axes = panels(8, 4, width=0.85, height=1.0)
    if figure:
        for number in range(8):
            if number == 0:
                show(axes[0], X.mean(0), "mean", (0, 16))
            else:
                show(axes[number], pca.components_[number - 1], f"eigenvector {number}")
            show(axes[8 + number], X[number], "digit", (0, 16))
            kept = PCA(16).fit(X)
            back = kept.inverse_transform(kept.transform(X[number : number + 1]))
            show(axes[16 + number], back, "16 components", (0, 16))
            # Whitened, and turned back into the pixels' axes.
            show(axes[24 + number], z[number] @ whiten.components_, "whitened")
    save(figure, args.directory, "digits_projected")
    figure, axes = panels(2)
    if figure:
        axes[0].bar(range(1, 65), pca.explained_variance_, width=0.8)
        axes[0].set(xlabel="component", ylabel="variance", yscale="log", ylim=(1e-2, None))
        axes[1].plot(range(1, 65), share)
        axes[1].plot(counts, share[np.array(counts) - 1], "C3o", ms=4)
        axes[1].set(xlabel="components kept", ylabel="share of the variance", ylim=(0, 1.02))
    save(figure, args.directory, "digits_variance")


if __name__ == "__main__":
    main()
