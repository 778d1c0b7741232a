"""numpy's random generators: the state of the bits, and the seed sequence that spawn() goes on from."""

from __future__ import annotations

from typing import Any

from numpy.random import MT19937, PCG64, PCG64DXSM, SFC64, BitGenerator, Generator, Philox, RandomState, SeedSequence

from waycairn.codec import codes
from waycairn.codec.contract import Node, Pack, Packing, Unpack, Unpacking
from waycairn.codec.marks import Mark, mark

_GENERATOR, _RANDOM_STATE = mark(codes.GENERATOR), mark(codes.RANDOM_STATE)
_KINDS: dict[str, Any] = {kind.__name__: kind for kind in (MT19937, PCG64, PCG64DXSM, Philox, SFC64)}


def _seed(bits: BitGenerator) -> Node:
    sequence = getattr(bits, "seed_seq", None)
    return dict(sequence.state) if type(sequence) is SeedSequence else None


def _pack_bits(walk: Packing, value: BitGenerator) -> Node:
    return walk.marked(_GENERATOR, value, (False, _seed(value), value.state), fields=("wrapped", "seed_seq", "state"))


def _pack_generator(walk: Packing, value: Generator) -> Node:
    bits = value.bit_generator
    return walk.marked(_GENERATOR, value, (True, _seed(bits), bits.state), fields=("wrapped", "seed_seq", "state"))


def _pack_random_state(walk: Packing, value: RandomState) -> Node:
    return walk.marked(_RANDOM_STATE, value, (value.get_state(legacy=False),), fields=("state",))


def _unpack_generator(walk: Unpacking, _: Mark, raw: list[Any]) -> Any:
    wrapped, seed, state = walk.values(raw[1:])
    bits = _KINDS[state["bit_generator"]](_sequence(seed))
    bits.state = state
    return Generator(bits) if wrapped else bits


def _sequence(seed: Any) -> SeedSequence:
    if seed is None:
        return SeedSequence(0)
    return SeedSequence(
        seed["entropy"],
        spawn_key=tuple(seed["spawn_key"]),
        pool_size=min(int(seed["pool_size"]), 1024),
        n_children_spawned=seed["n_children_spawned"],
    )


def _unpack_random_state(walk: Unpacking, _: Mark, raw: list[Any]) -> RandomState:
    (state,) = walk.values(raw[1:])
    generator = RandomState(MT19937(0))
    generator.set_state(state)
    return generator


PACK: dict[type, Pack] = {
    Generator: _pack_generator,
    RandomState: _pack_random_state,
    **dict.fromkeys(_KINDS.values(), _pack_bits),
}
UNPACK: dict[int, Unpack] = {codes.GENERATOR: _unpack_generator, codes.RANDOM_STATE: _unpack_random_state}
