"""Dual methods, of every kind (rule 23)."""

import abc
import asyncio

import pytest

from aioutils import Group, dual


class Client:
    """Equal to another one of the same name."""

    def __init__(self, name="client"):
        self.name = name

    def __eq__(self, other):
        return isinstance(other, Client) and self.name == other.name

    @dual
    async def get(self, url):
        """Gets it."""
        await asyncio.sleep(0)
        return self.name, url

    @dual
    async def pages(self, n):
        for i in range(n):
            yield self.name, i

    @dual
    @classmethod
    async def make(cls, *args):
        await asyncio.sleep(0)
        return cls(*args)

    @dual
    @staticmethod
    async def parse(page):
        return page.upper()

    @staticmethod
    @dual
    async def parse_too(page):
        return page.upper()


class Special(Client):
    @dual
    async def get(self, url):
        return ("special", *await super().get(url))

    @dual
    async def get_twice(self, url):
        await asyncio.sleep(0)
        return await self.get(url), await super().get(url)

    def of_the_base(self, url):
        return super().get.sync(url)


def test_methods_know_their_instance():
    client = Client()
    assert client.get.sync("/") == ("client", "/")
    assert Client.get.sync(client, "/") == ("client", "/")
    assert asyncio.run(client.get("/")) == asyncio.run(Client.get(client, "/")) == ("client", "/")
    assert list(client.pages.sync(2)) == list(Client.pages.sync(client, 2))


def test_methods_can_be_overridden():
    special = Special()
    assert special.get.sync("/") == ("special", "client", "/")
    assert special.of_the_base("/") == ("client", "/")
    assert special.get_twice.sync("/") == (special.get.sync("/"), ("client", "/"))


def test_class_methods_know_their_class():
    for made in [Special.make.sync("x"), Special().make.sync("x"), asyncio.run(Special.make("x"))]:
        assert type(made) is Special
        assert made.name == "x"


def test_static_methods_are_functions():
    for parse in [Client.parse, Client().parse, Client.parse_too, Special().parse_too]:
        assert parse.sync("page") == asyncio.run(parse("page")) == "PAGE"


def test_below_classmethod_it_works_or_says_what_to_do():
    """From 3.13 on a classmethod does not ask what it holds to bind itself."""

    class Odd:
        @classmethod
        @dual
        async def make(cls, n=0):
            return cls, n

    assert asyncio.run(Odd.make(1)) == (Odd, 1)
    for make in [Odd.make, Odd().make]:
        try:
            assert make.sync(1) == (Odd, 1)
        except TypeError as error:
            assert "put @dual above @classmethod" in str(error)


def test_a_function_may_call_its_first_parameter_cls():
    @dual
    async def make(cls):
        return cls()

    class Meta(type):
        @dual
        async def make(cls):
            return cls()

    class Made(metaclass=Meta):
        pass

    assert make.sync(list) == []
    assert type(Made.make.sync()) is Made
    assert dual(Client.make).sync("x").name == "x"


def test_an_abstract_method_has_to_be_overridden():
    class Abstract(abc.ABC):
        @dual
        @abc.abstractmethod
        async def above(self): ...

        @abc.abstractmethod
        @dual
        async def below(self): ...

        @dual
        @classmethod
        @abc.abstractmethod
        async def of_class(cls): ...

    class Concrete(Abstract):
        @dual
        async def above(self):
            return "above"

        async def below(self):
            return "below"

        @dual
        @classmethod
        async def of_class(cls):
            return cls

    with pytest.raises(TypeError, match=r"abstract.*above.*below.*of_class"):
        Abstract()
    assert Concrete().above.sync() == "above"
    assert Concrete.of_class.sync() is Concrete


def test_classes_with_slots_have_dual_methods():
    class Slotted:
        __slots__ = ("n",)

        @dual
        async def get(self):
            return self.n

    slotted = Slotted()
    slotted.n = 3
    assert slotted.get.sync() == 3


def test_a_bound_method_is_equal_where_a_methods_would_be():
    client, equal, special = Client(), Client(), Special()
    assert client.get == client.get
    assert client.get.sync == client.get.sync
    assert hash(client.get) == hash(client.get)
    assert len({client.get, client.get, client.get.sync, client.get.sync}) == 2
    assert client.get != equal.get
    assert client.get != client.pages
    assert client.get != special.get
    assert client.get != Client.get


def test_bound_methods_can_be_spawned_and_kept_in_other_classes():
    class View:
        get = Client("other").get
        get_sync = Client("other").get.sync

    with Group() as group:
        assert group.spawn(Client().get, "/").result() == ("client", "/")
    assert View().get.sync("/") == View().get_sync("/") == ("other", "/")
