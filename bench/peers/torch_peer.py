"""PyTorch on the CPU, eager, fed by slicing tensors; fused optimizers."""

import torch

LOSSES = {
    "mae": torch.nn.L1Loss,
    "mse": torch.nn.MSELoss,
    "softmax": torch.nn.CrossEntropyLoss,
}
OPTIMIZERS = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}


def make(problem, threads):
    torch.set_num_threads(threads)
    return TorchTrainer(problem)


def make_autocast(problem, threads):
    trainer = make(problem, threads)
    model = trainer.forward

    def forward(x):
        with torch.autocast("cpu", torch.bfloat16):
            return model(x).to(x.dtype)

    trainer.forward = forward
    return trainer


def predictor(problem, threads):
    model = make(problem, threads).model

    def predict(x):
        with torch.inference_mode():
            return model(torch.from_numpy(x)).numpy()

    return predict


class TorchTrainer:
    def __init__(self, problem):
        work = problem.work
        self.X, self.y = torch.from_numpy(problem.X), torch.from_numpy(problem.y)
        self.work = work
        layers = []
        for W, b in zip(problem.start[::2], problem.start[1::2], strict=True):
            layer = torch.nn.Linear(*W.shape, dtype=self.X.dtype)
            with torch.no_grad():
                layer.weight.copy_(torch.from_numpy(W.T))
                layer.bias.copy_(torch.from_numpy(b))
            layers += [layer, torch.nn.ReLU()]
        self.forward = self.model = torch.nn.Sequential(*layers[:-1])
        self.loss = LOSSES[work.loss]()
        self.optimizer = OPTIMIZERS[work.optimizer](
            self.model.parameters(), lr=work.learning_rate, fused=work.optimizer == "adam"
        )

    def run(self, epochs):
        batch, X, y = self.work.batch, self.X, self.y
        for _ in range(epochs):
            for begin in range(0, self.work.rows, batch):
                self.optimizer.zero_grad()
                prediction = self.forward(X[begin : begin + batch])
                self.loss(prediction, y[begin : begin + batch]).backward()
                self.optimizer.step()

    def weights(self):
        arrays = [p.detach().numpy() for p in self.model.parameters()]
        return [a.T.copy() for a in arrays]
