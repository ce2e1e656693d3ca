"""Countries of addresses, from both kinds of file."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workloads.common.access.countries import CountryFiles

TOR4 = "# comment\n16777216,16777471,AU\n16777472,16778239,CN\n3405803776,3405804031,BD\n5,x,US\n1,2,??\n"
TOR6 = "2001:db8::,2001:db8:ffff:ffff:ffff:ffff:ffff:ffff,BD\n2001:200::,2001:200:ffff:ffff:ffff:ffff:ffff:ffff,JP\n"
LITE = "1.0.0.0,1.0.0.255,AU\n203.0.113.0,203.0.113.255,BD\n2001:db8::,2001:db8:ffff:ffff:ffff:ffff:ffff:ffff,BD\n"


@pytest.mark.parametrize("files", [{"geoip": TOR4, "geoip6": TOR6}, {"lite.csv": LITE}])
def test_addresses_are_found(tmp_path: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    countries = CountryFiles()
    countries.load([*(tmp_path / name for name in files), tmp_path / "absent"])
    expected = {
        "203.0.113.7": "BD", "203.0.113.255": "BD", "203.0.114.0": "", "1.0.0.0": "AU", "0.255.255.255": "",
        "2001:db8::1": "BD", "::ffff:203.0.113.7": "BD", "2001:dc8::1": "", "no address": "", "": "",
    }  # fmt: skip
    assert {address: countries.country(address) for address in expected} == expected
    assert countries.known >= 3


@given(st.text(max_size=200))
def test_any_file_is_read(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("geo") / "geoip"
    path.write_text(text)
    countries = CountryFiles()
    countries.load([path])
    assert isinstance(countries.country("1.1.1.1"), str)
