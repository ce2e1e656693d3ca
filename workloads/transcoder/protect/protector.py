"""A stream's protection, applied: what is encrypted when a part is made, and what when it is sent."""

from dataclasses import replace

from workloads.common.cmaf import codecs
from workloads.common.cmaf.fragment import Init
from workloads.transcoder.protect import aes128, cbcs
from workloads.transcoder.protect.keys import ContentKey, Keys, Method
from workloads.transcoder.protect.slices import Parameters, parameters


class Protector:
    """Encrypts with the keys of one stream; `cbcs` at the making, since the bytes of a part are then final."""

    def __init__(self, keys: Keys) -> None:
        self.keys = keys
        self._pictures: dict[bytes, Parameters] = {}
        self._key: ContentKey | None = None

    def init(self, init: Init, msn: int) -> Init:
        """The init segment of segment `msn`."""
        if self.keys.method != Method.CBCS:
            return init
        return replace(init, data=cbcs.protect_init(init.data, self._of(msn)))

    def part(self, data: bytes, init: Init, msn: int, *, video: bool) -> bytes:
        """A part of segment `msn` as it is kept; `init` is the clear one."""
        if self.keys.method != Method.CBCS:
            return data
        return cbcs.protect_chunk(data, self._of(msn), self._picture(init) if video else None)

    def sent(self, data: bytes, msn: int) -> bytes:
        """What is kept of segment `msn`, whole or a part, as it is sent."""
        return aes128.encrypt(data, self._of(msn), msn) if self.keys.method == Method.AES_128 else data

    def _of(self, msn: int) -> ContentKey:
        if self._key is None or self._key.period != self.keys.period_of(msn):
            self._key = self.keys.of_segment(msn)
        return self._key

    def _picture(self, init: Init) -> Parameters:
        found = self._pictures.get(init.data)
        if found is None:
            self._pictures.clear()
            found = self._pictures[init.data] = parameters(codecs.decoder_configuration(init.data))
        return found
