"""Letting a program run as root that refuses to.

First choice is a user namespace in which another id stands for root: files stay accessible, for the kernel's id is
still 0. Where the kernel allows none, the id is really changed, and two capabilities are kept as ambient ones so that
a checkout below a root-only folder can still be read. Trap avoided: both ways clear the parent-death signal, so it is
set again afterwards.
"""

import ctypes
import os
import signal
import struct

_CLONE_NEWUSER = 0x10000000
_PR_SET_PDEATHSIG = 1
_PR_SET_KEEPCAPS = 8
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_CAPABILITY_VERSION_3 = 0x20080522
_CAP_DAC_OVERRIDE = 1
_CAP_DAC_READ_SEARCH = 2
_NOBODY = 65534
"""The id that the program sees; it must have an entry in the user database, which this one has everywhere."""


class PrivilegeError(Exception):
    """Neither way worked; the message names the last call that failed."""


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        raise PrivilegeError(f"{what}: {os.strerror(ctypes.get_errno())}")


def leave_root(*, folders: tuple[str, ...] = ()) -> str:
    """Make geteuid() differ from 0 in this (single-threaded) process; returns the way taken. Raises PrivilegeError.

    `folders` are given to the new id where the id really changes.
    """
    if os.geteuid() != 0:
        return "already unprivileged"
    parent = os.getppid()
    try:
        for folder in folders:
            if os.stat(folder).st_uid != 0:
                _give(folder, 0)
        _enter_namespace()
        way = "user namespace"
    except (PrivilegeError, OSError):
        _change_id(folders)
        way = "ambient capabilities"
    _libc().prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(137)
    return way


def _enter_namespace() -> None:
    """Probe in a child first: after a half-done unshare there is no way back."""
    child = os.fork()
    if child == 0:
        try:
            _map_ids()
            os._exit(0 if os.geteuid() == _NOBODY else 1)
        except (PrivilegeError, OSError):
            os._exit(1)
    if os.waitpid(child, 0)[1] != 0:
        raise PrivilegeError("no user namespace")
    _map_ids()


def _map_ids() -> None:
    _check(_libc().unshare(_CLONE_NEWUSER), "unshare")
    for name, text in (("setgroups", "deny"), ("uid_map", f"{_NOBODY} 0 1"), ("gid_map", f"{_NOBODY} 0 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def _change_id(folders: tuple[str, ...]) -> None:
    for folder in folders:
        _give(folder, _NOBODY)
    libc = _libc()
    _check(libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0), "prctl(PR_SET_KEEPCAPS)")
    os.setgroups([])
    os.setresgid(_NOBODY, _NOBODY, _NOBODY)
    os.setresuid(_NOBODY, _NOBODY, _NOBODY)
    wanted = (1 << _CAP_DAC_OVERRIDE) | (1 << _CAP_DAC_READ_SEARCH)
    header = struct.pack("Ii", _CAPABILITY_VERSION_3, 0)
    data = struct.pack("6I", wanted, wanted, wanted, 0, 0, 0)
    _check(libc.capset(header, data), "capset")
    for capability in (_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH):
        _check(libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, capability, 0, 0), "prctl(PR_CAP_AMBIENT)")


def _give(folder: str, owner: int) -> None:
    os.chown(folder, owner, owner)
    for root, names, files in os.walk(folder):
        for name in (*names, *files):
            os.lchown(os.path.join(root, name), owner, owner)
