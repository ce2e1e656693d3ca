"""The cache of children: whose they are, and what is known of a kind."""

from operators.core.plan import Manifest
from operators.runtime.cache import Cache


def child(name: str, *, kind: str = "Service", namespace: str = "shop", version: str = "1") -> Manifest:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": namespace, "resourceVersion": version}}  # fmt: skip


def test_a_child_belongs_to_the_owner_that_its_label_names_now() -> None:
    cache = Cache()
    assert cache.put_child(child("a"), "livestream.one") == "livestream.one"
    assert cache.put_child(child("a"), "livestream.two") == "livestream.one"
    assert not cache.labelled("shop", "livestream.one")
    assert set(cache.labelled("shop", "livestream.two")) == {("Service", "a")}
    assert cache.owner_labels() == {("shop", "livestream.two")}


def test_a_child_that_is_gone_tells_whose_it_was() -> None:
    cache = Cache()
    cache.put_child(child("a"), "livestream.one")
    cache.put_child(child("p", kind="Pod"), "livestream.one")
    assert cache.drop_child("Service", "shop", "a") == "livestream.one"
    assert cache.drop_child("Service", "shop", "a") == ""
    assert not cache.has_child("Service", "shop", "a")
    assert [pod["metadata"]["name"] for pod in cache.all_pods()] == ["p"]
    assert cache.drop_child("Pod", "shop", "p") == "livestream.one"
    assert not cache.all_pods()


def test_versions_are_those_of_the_kind_and_the_namespace() -> None:
    cache = Cache()
    cache.put_child(child("a", version="7"), "livestream.one")
    cache.put_child(child("a", kind="Ingress"), "livestream.one")
    cache.put_child(child("p", kind="Pod", version="9"), "pool.default")
    cache.put_child(child("b", namespace="other", version="8"), "channel.two")
    assert cache.child_versions("Service") == {("shop", "a"): "7", ("other", "b"): "8"}
    assert cache.child_versions("Service", "shop") == {("shop", "a"): "7"}
    assert cache.child_versions("Pod") == {("shop", "p"): "9"}


def test_nothing_is_reconciled_before_all_was_seen() -> None:
    cache = Cache()
    assert not cache.bound
    cache.unlisted.add("/api/v1/services")
    cache.indexed = True
    assert not cache.bound
    cache.unlisted.discard("/api/v1/services")
    assert cache.bound
