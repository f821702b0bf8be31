"""The fault of each rule, put into a module of somebody else by program."""

from workshop.zoo.faults import values, calls, runs  # noqa: F401, I001 - the order of the table
from workshop.zoo.faults.base import FAULTS as FAULTS
from workshop.zoo.faults.base import Planted as Planted
