"""A wrong step that is linear in something fixed is solved for, and told by what it does."""

import numpy as np
import pytest

from gradcheck.diagnosis.agreement import explained_agreement
from gradcheck.diagnosis.arrays import mixed, replaced
from gradcheck.diagnosis.linear import LINEAR, Equations, is_asked, solved
from gradcheck.mutants.backprop import Backprop
from gradcheck.problems.case import Case

NARROW = Case(sizes=(3, 4, 3), batch=5, targets="soft")


class Running(Backprop):
    """Each output has the errors of those before it added."""

    def output_error(self):
        return np.cumsum(super().output_error(), axis=1)


class Centred(Backprop):
    """The mean over the outputs is subtracted."""

    def output_error(self):
        delta = super().output_error()
        return delta - delta.mean(axis=1, keepdims=True)


class CentredBatch(Backprop):
    """Half of the mean over the batch is subtracted from hidden errors."""

    def hidden_error(self, layer):
        delta = super().hidden_error(layer)
        return delta - delta.mean(axis=0) / 2


class SharedByPairs(Backprop):
    """Units 0 and 1 share their bias."""

    def bias_gradient(self, layer):
        db = super().bias_gradient(layer).copy()
        db[:2] = db[:2].sum()
        return db


class Trapezoid(Backprop):
    """The first and the last example count half in dC/db."""

    def bias_gradient(self, layer):
        delta = self.delta[layer].copy()
        delta[[0, -1]] /= 2
        return delta.sum(axis=0)


class LastRowRepeated(Backprop):
    """The last row of dC/dW is that before it."""

    def weight_gradient(self, layer):
        dW = super().weight_gradient(layer).copy()
        dW[-1] = dW[-2] if len(dW) > 1 else dW[-1]
        return dW


class RowsCentred(Backprop):
    """The mean over its columns is subtracted from dC/dW."""

    def weight_gradient(self, layer):
        dW = super().weight_gradient(layer)
        return dW - dW.mean(axis=1, keepdims=True)


class InputsClipped(Backprop):
    """dC/dW_1 has X clipped to [-1/2, 1/2]."""

    def weight_gradient(self, layer):
        a = np.clip(self.X, -0.5, 0.5) if layer == 1 else self.a[layer - 1]
        return self.delta[layer].T @ a


class NoSmallWeights(Backprop):
    """Errors are passed down through weights of which those below 1/2 are left out."""

    def hidden_error(self, layer):
        W = self.W[layer + 1]
        return (self.delta[layer + 1] @ np.where(np.abs(W) < 0.5, 0.0, W)) * self.slope(layer)


class TargetsOfTheFirst(Backprop):
    """The last example has the targets of the first one."""

    def output_error(self):
        Y = self.Y.copy()
        Y[-1] = Y[0]
        return super().output_error() + (self.Y - Y) / self.M


class OffByOne(Backprop):
    """The input has its column of ones in front, and the product loses the last column."""

    def weight_gradient(self, layer):
        A = np.hstack([np.ones((self.m, 1)), self.a[layer - 1]])
        return self.delta[layer].T @ A[:, :-1]


class ByTheLoss(Backprop):
    """The gradient is divided by 1 + the loss."""

    def output_error(self):
        return super().output_error() / (1 + self.cost())


PLANTED = {
    OffByOne: "dC/dW_2 has dC/db_2 among its columns; ",
    ByTheLoss: "delta_2 has one factor in all its numbers, another one on each problem; ",
    Running: "delta_2 has those of the units before added in each unit; ",
    Centred: "delta_2 lacks its mean over its units, which is subtracted; ",
    CentredBatch: "delta_1 lacks 0.5 times its mean over the batch, which is subtracted; ",
    SharedByPairs: "dC/db_2 has units that are mixed with each other; ",
    Trapezoid: "dC/db_2 does not count all examples once in the batch, but examples 0, 4 0.5 times",
    LastRowRepeated: "dC/dW_2 has in some units that of another unit; ",
    InputsClipped: "dC/dW_1 has X clipped to [-0.5, 0.5]; ",
    NoSmallWeights: "delta_1 has 0 for W_2 where |W_2| < t; ",
    TargetsOfTheFirst: "delta_2 has rows of Y in the place of others; ",
}


@pytest.mark.parametrize("wrong", PLANTED)
def test_what_is_linear_is_told_by_what_it_does(wrong):
    outcome = explained_agreement(wrong(), NARROW.problem())
    layer, _, says = outcome.diagnosis.partition(": ")
    assert says.startswith(PLANTED[wrong])
    assert layer == f"layer {2 if '_2 ' in PLANTED[wrong][:8] else 1}"
    assert "; sure: it gives every number on " in says
    assert outcome.suspects[0].key.startswith(LINEAR)


def test_columns_that_are_centred_have_nothing_of_the_biases():
    outcome = explained_agreement(
        RowsCentred(), Case(sizes=(3, 1)).problem()
    )  # 1/3: not in 6 digits
    says = "layer 1: dC/dW_1 lacks its mean over its columns, which is subtracted; "
    assert outcome.diagnosis.startswith(says)


class Squared(Backprop):
    """No linear function of delta_l."""

    def hidden_error(self, layer):
        return np.sin(3 * super().hidden_error(layer))


class SomeCalls(Backprop):
    """Units are mixed in another way on each problem."""

    def output_error(self):
        delta = super().output_error()
        return delta @ (np.eye(delta.shape[1]) + self.X[0, 0])


class OnlyElsewhere(Running):
    """Here the errors are squared, elsewhere those of the units before are added."""

    def output_error(self):
        is_here = np.array_equal(self.X, NARROW.problem().inputs)
        right = Backprop.output_error(self)
        return right**2 if is_here else np.cumsum(right, axis=1)


@pytest.mark.parametrize("wrong", [Squared, SomeCalls, OnlyElsewhere])
def test_nothing_linear_is_told_of_what_is_not_or_is_another_one_each_time(wrong):
    outcome = explained_agreement(wrong(), NARROW.problem())
    assert not any(suspect.key.startswith(LINEAR) for suspect in outcome.suspects)


ONES, ONE = np.ones((3, 3)), np.eye(3)


@pytest.mark.parametrize(
    ("M", "says"),
    [
        (np.diag([1, 1, 0]), "is 0 in its last unit"),
        (np.diag([0, 1, 1]), "is 0 in its first unit"),
        (np.diag([1, 2, 1]), "has an extra factor 2 in unit 1"),
        (np.diag([1, 2, 3]), "has another factor in each unit"),
        (ONE - ONES / 3, "lacks its mean over its units, which is subtracted"),
        (ONE + ONES / 6, "has 0.5 times its mean over its units, which is added"),
        (ONES / 3, "is its mean over its units everywhere"),
        (np.triu(ONES), "has those of the units before added in each unit"),
        (np.roll(ONE, 1, axis=1), "has in each unit that of the one before, cyclically"),
        (ONE[:, ::-1], "has entries swapped in units 0, 2"),
        (ONE[:, [0, 1, 1]], "has in some units that of another unit"),
        (ONE + np.diag([1.0], 2), "has units that are mixed with each other"),
    ],
)
def test_a_matrix_is_told_in_words(M, says):
    told = mixed(M, "unit", "its units")
    assert told.says == says


def test_one_factor_for_all_units_is_no_mixture():
    assert mixed(2 * ONE, "unit", "its units") is None


X = np.random.default_rng(3).standard_normal((5, 6))


@pytest.mark.parametrize(
    ("new", "says"),
    [
        (np.clip(X, -1, 1), "has X clipped to [-1, 1]"),
        (np.maximum(X, -0.5), "has X cut off below -0.5"),
        (np.where(np.abs(X) < 0.5, 0, X), "has 0 for X where |X| < t"),
        (np.where(X > 0.5, 0, X), "has 0 for X where X > t"),
        (np.round(X * 127) / 127, "has X rounded to multiples of 1/127"),
        (np.sign(X), "has sign(X) for X"),
        (1 - X, "has 1 - X for X"),
        (X[::-1], "has rows of X in the place of others"),
        (X * 1.5, "has other numbers for X"),
    ],
)
def test_another_array_is_told_in_words(new, says):
    assert replaced([(new, X)], "X").says == says


def test_few_entries_are_told_under_no_condition():
    old = np.array([[0.1, 2.0, 3.0]])
    assert replaced([(old * [[0, 1, 1]], old)], "W_2").says == (
        "has 0 in place of some entries of W_2"
    )


def test_equations_that_are_too_few_or_do_not_all_hold_have_no_solution():
    C, x = np.random.default_rng(0).standard_normal((12, 3)), np.array([1.0, 0.5, 0.0])
    room = np.full(12, 1e-12)

    def held(many, off):
        return solved([Equations(C[:many], C[:many] @ x + off, 1e-12 * abs(C[:many]), room[:many])])

    assert np.array_equal(held(12, 0.0), x)
    assert held(12, np.eye(12)[7] * 1e-6) is None
    assert held(5, 0.0) is None


def test_large_networks_are_not_asked():
    assert is_asked(60, 10)
    assert not is_asked(61, 10)
    assert not is_asked(60, 11)
