"""What a worker gives up before it looks at evidence: writing, the network, other programs, most memory.

1. ``no_new_privs``, no core dumps, limits on address space, file size (0) and open files.
2. Landlock (Linux 5.13 and later): every kind of writing is forbidden everywhere; reading is left only beneath the
   folders named by the caller (the image, Python itself). Linux 6.7 adds TCP, 6.12 abstract sockets and signals.
3. seccomp, through libseccomp where it is installed: no sockets, no new programs, no tracing, no mounts, no namespaces.

What the kernel or the machine does not have is left out and said: the worker reports what it has, ``doctor`` shows it.
Source: ``linux/landlock.h``; ``seccomp_init(3)``.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import resource
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

__all__ = ["SandboxReport", "enter_sandbox", "sandbox_support"]

_SYS_CREATE, _SYS_ADD, _SYS_RESTRICT = 444, 445, 446
_PR_SET_NO_NEW_PRIVS, _PR_SET_DUMPABLE = 38, 4
_VERSION_FLAG, _RULE_PATH_BENEATH = 1, 1
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
_RIGHTS_BY_VERSION = ((1, (1 << 13) - 1), (2, 1 << 13), (3, 1 << 14), (5, 1 << 15))
_TCP = 0b11
_SCOPES = 0b11
_ALLOW, _ERRNO_EPERM = 0x7FFF0000, 0x00050000 | 1
_FORBIDDEN = (
    "socket", "socketpair", "connect", "bind", "listen", "accept", "accept4", "execve", "execveat", "ptrace",
    "process_vm_readv", "process_vm_writev", "mount", "umount2", "move_mount", "open_tree", "fsopen", "fsmount",
    "pivot_root", "chroot", "unshare", "setns", "kexec_load", "kexec_file_load", "init_module", "finit_module",
    "delete_module", "bpf", "perf_event_open", "keyctl", "add_key", "request_key", "userfaultfd",
    "io_uring_setup", "io_uring_enter", "io_uring_register", "reboot", "swapon", "swapoff", "settimeofday",
    "clock_settime", "sethostname", "setdomainname", "iopl", "ioperm", "ioctl", "unlink", "unlinkat", "rename",
    "renameat", "renameat2", "mkdir", "mkdirat", "rmdir", "link", "linkat", "symlink", "symlinkat", "mknod",
    "mknodat", "chmod", "fchmod", "fchmodat", "chown", "fchown", "lchown", "fchownat", "truncate", "ftruncate",
    "setxattr", "lsetxattr", "fsetxattr", "utime", "utimes", "utimensat", "futimesat", "memfd_create",
)  # fmt: skip


class SandboxReport(Struct, frozen=True):
    """What holds: the Landlock version (0: none), whether it covers TCP, seccomp, and the limits in bytes."""

    landlock: int
    tcp: bool
    seccomp: bool
    memory: int


class _Ruleset(ctypes.Structure):
    _fields_ = (("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def enter_sandbox(readable: Iterable[str], memory: int) -> SandboxReport:
    """Give everything up for the rest of this process's life; call it with one thread, before reading evidence.

    ``readable`` are files and folders that may still be opened for reading; ``memory`` is the limit of the address
    space in bytes. Files that are open already stay usable.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    version = _landlock(libc, readable)
    return SandboxReport(version, version >= 4, _seccomp(), memory)


def sandbox_support() -> tuple[int, bool]:
    """Return what this machine has, without entering anything: the Landlock version (0: none), libseccomp."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    version = max(0, int(libc.syscall(_SYS_CREATE, None, 0, _VERSION_FLAG)))
    try:
        ctypes.CDLL("libseccomp.so.2")
    except OSError:
        return version, False
    return version, True


def _landlock(libc: ctypes.CDLL, readable: Iterable[str]) -> int:
    version = int(libc.syscall(_SYS_CREATE, None, 0, _VERSION_FLAG))
    if version < 1:
        return 0
    rights = sum(bits for since, bits in _RIGHTS_BY_VERSION if version >= since)
    rules = _Ruleset(rights, _TCP if version >= 4 else 0, _SCOPES if version >= 6 else 0)
    size = 8 if version < 4 else 16 if version < 6 else 24
    handle = int(libc.syscall(_SYS_CREATE, ctypes.byref(rules), ctypes.c_size_t(size), 0))
    if handle < 0:
        return 0
    for path in readable:
        try:
            place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue
        allowed = _READ_FILE | _READ_DIR if Path(path).is_dir() else _READ_FILE
        rule = _PathBeneath(allowed, place)
        libc.syscall(_SYS_ADD, handle, _RULE_PATH_BENEATH, ctypes.byref(rule), 0)
        os.close(place)
    done = int(libc.syscall(_SYS_RESTRICT, handle, 0))
    os.close(handle)
    return version if done == 0 else 0


def _seccomp() -> bool:
    """Load a filter that answers EPERM to what no parser needs; the rest stays allowed."""
    try:
        lib = ctypes.CDLL("libseccomp.so.2")
    except OSError:
        return False
    lib.seccomp_init.restype = ctypes.c_void_p
    lib.seccomp_init.argtypes = (ctypes.c_uint32,)
    lib.seccomp_rule_add_array.argtypes = (
        ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint, ctypes.c_void_p
    )  # fmt: skip
    lib.seccomp_load.argtypes = lib.seccomp_release.argtypes = (ctypes.c_void_p,)
    lib.seccomp_syscall_resolve_name.argtypes = (ctypes.c_char_p,)
    context = lib.seccomp_init(_ALLOW)
    if not context:
        return False
    try:
        for name in _FORBIDDEN:
            number = lib.seccomp_syscall_resolve_name(name.encode())
            if number >= 0 and lib.seccomp_rule_add_array(context, _ERRNO_EPERM, number, 0, None) != 0:
                return False
        return bool(lib.seccomp_load(context) == 0)
    finally:
        lib.seccomp_release(context)
