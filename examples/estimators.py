"""Three pictures that scikit-learn's documentation draws with its MLP, drawn with fastnn's.

Learning curves of six ways to descend, decision boundaries of stronger and stronger penalties, and
what the first layer sees in handwritten digits.  Only the import line is another.
"""

import warnings

import numpy as np
from pictures import arguments, panels, save
from sklearn.datasets import load_digits, make_circles, make_moons
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from fastnn.sklearn import MLPClassifier

WAYS = {
    "constant rate": {"momentum": 0.0},
    "momentum": {"momentum": 0.9, "nesterovs_momentum": False},
    "Nesterov": {"momentum": 0.9},
    "inverse scaling": {"momentum": 0.0, "learning_rate": "invscaling"},
    "inverse scaling, Nesterov": {"momentum": 0.9, "learning_rate": "invscaling"},
    "Adam": {"solver": "adam", "learning_rate_init": 0.01},
}


def learning_curves(epochs):
    """Return the losses of every way on two data sets, by data set and way."""
    digits = load_digits(return_X_y=True)
    sets = {"digits": digits, "moons": make_moons(noise=0.3, random_state=0)}
    curves = {}
    for name, (X, y) in sets.items():
        X = MinMaxScaler().fit_transform(X)
        for way, given in WAYS.items():
            settings = {"solver": "sgd", "learning_rate_init": 0.2, "random_state": 0, **given}
            classifier = MLPClassifier(max_iter=epochs, **settings).fit(X, y)
            curves[name, way] = classifier.loss_curve_
            print(f"{name}, {way}: accuracy {classifier.score(X, y):.3f}")
    return curves


def boundaries(strengths):
    """Return a grid's probabilities for every `alpha`, with the data and the grid."""
    X, y = make_circles(noise=0.2, factor=0.5, random_state=1)
    line = np.linspace(-3, 3, 100)
    grid = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
    found = {}
    for alpha in strengths:
        classifier = MLPClassifier((100, 100), alpha=alpha, max_iter=2000, random_state=1)
        pipeline = make_pipeline(StandardScaler(), classifier).fit(X, y)
        scaled = pipeline[0].inverse_transform(grid)
        found[alpha] = pipeline.predict_proba(scaled)[:, 1].reshape(100, 100)
        print(f"alpha {alpha:g}: accuracy {pipeline.score(X, y):.3f}")
    return StandardScaler().fit_transform(X), y, line, found


def filters(epochs):
    """Return the weights of each unit of a first layer, as pictures."""
    X, y = load_digits(return_X_y=True)
    classifier = MLPClassifier(
        16, solver="sgd", alpha=1e-4, max_iter=epochs, learning_rate_init=0.2, random_state=1
    )
    classifier.fit(X[:1200] / 16, y[:1200])
    print(f"digits not trained on: accuracy {classifier.score(X[1200:] / 16, y[1200:]):.3f}")
    return classifier.coefs_[0].T.reshape(-1, 8, 8)


def main():
    args = arguments(__doc__)
    warnings.simplefilter("ignore", ConvergenceWarning)
    curves = learning_curves(4 if args.quick else 100)
    strengths = [0.1] if args.quick else [0.01, 0.1, 1.0, 10.0]
    X, y, line, found = boundaries(strengths)
    pictures = filters(3 if args.quick else 60)
    figure, axes = panels(2)
    if not figure:
        return
    for (name, way), losses in curves.items():
        place = axes[0] if name == "digits" else axes[1]
        place.plot(losses, label=way)
        place.set(title=name, xlabel="epoch", ylabel="loss", yscale="log")
    figure.legend(*axes[1].get_legend_handles_labels(), loc="outside right center", fontsize=7)
    save(figure, args.directory, "estimators_curves")
    figure, axes = panels(len(strengths), width=2.4, height=2.4)
    for place, alpha in zip(axes, strengths, strict=True):
        place.contourf(line, line, found[alpha], levels=10, cmap="RdBu", alpha=0.8)
        place.scatter(*X.T, c=y, cmap="RdBu", edgecolors="k", linewidths=0.4, s=8)
        place.set(title=f"alpha {alpha:g}", xticks=[], yticks=[])
    save(figure, args.directory, "estimators_alpha")
    figure, axes = panels(4, 4, width=0.8, height=0.8)
    for place, picture in zip(axes, pictures, strict=True):
        place.imshow(picture, cmap="gray")
        place.set(xticks=[], yticks=[])
    save(figure, args.directory, "estimators_filters")


if __name__ == "__main__":
    main()
