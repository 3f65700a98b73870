"""What time services say of the clock, from recorded output."""

from __future__ import annotations

import pytest

from forensiq.devices.commands import Ended, Runner
from forensiq.devices.time_reference import ask_time_reference

CHRONY = """Reference ID    : C0000201 (192.0.2.1)
Stratum         : 3
Ref time (UTC)  : Fri Feb  3 15:00:29 2026
System time     : 0.250001501 seconds {side} of NTP time
Last offset     : -0.000001632 seconds
RMS offset      : 0.000002360 seconds
Frequency       : 331.898 ppm fast
Leap status     : {leap}
"""
TIMESYNCD = """       Server: 192.0.2.7 (time.example.org)
Poll interval: 34min 8s (min: 32s; max 34min 8s)
         Leap: normal
      Version: 4
      Stratum: 2
       Offset: {offset}
        Delay: 23.123ms
       Jitter: 1.204ms
 Packet count: 17
    Frequency: -13.237ppm
"""


def _run(answers: dict[str, str]) -> Runner:
    def run(command: tuple[str, ...], timeout_s: float) -> Ended:
        assert timeout_s <= 5
        output = answers.get(command[0])
        return Ended("", 0 if output is not None else None, output or "", "", 0.0, missing=output is None)

    return run


@pytest.mark.parametrize(("side", "offset"), [("fast", 0.250001501), ("slow", -0.250001501)])
def test_chrony_says_by_how_much_and_which_way(side: str, offset: float) -> None:
    found = ask_time_reference(_run({"chronyc": CHRONY.format(side=side, leap="Normal")}))
    assert found is not None
    assert found.offset_s == pytest.approx(offset)
    assert "chrony" in found.method


@pytest.mark.parametrize(
    ("shown", "offset"),
    [
        ("+1.094ms", -0.001094),
        ("-523us", 0.000523),
        ("+1min 2.500s", -62.5),
        ("-1h 1s", 3601.0),
        ("0", None),
        ("?", None),
    ],
)
def test_timesyncd_says_reference_minus_clock(shown: str, offset: float | None) -> None:
    found = ask_time_reference(_run({"timedatectl": TIMESYNCD.format(offset=shown)}))
    assert (found and found.offset_s) == (pytest.approx(offset) if offset is not None else None)


@pytest.mark.parametrize(
    "output",
    [
        CHRONY.format(side="fast", leap="Not synchronised"),
        CHRONY.format(side="fast", leap="Normal").replace("C0000201", "7F7F0101"),
        "506 Cannot talk to daemon\n",
        "",
    ],
)
def test_a_service_that_has_no_reference_says_nothing(output: str) -> None:
    assert ask_time_reference(_run({"chronyc": output})) is None
    assert ask_time_reference(_run({})) is None
    both = _run({"chronyc": output, "timedatectl": TIMESYNCD.format(offset="+2ms")})
    found = ask_time_reference(both)
    assert found is not None
    assert found.offset_s == pytest.approx(-0.002)
