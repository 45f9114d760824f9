"""The system calls that each kind of child may make: a filter for each.

A list of what is allowed, not of what is not: of the kernel's 380 calls the decoders make some sixty (traced over files
of every type, with FFmpeg 5.1 and 7.1), and one that a kernel gets next year is refused until it is named here.
"""

from enum import Enum, auto
from typing import Final

from service.tools import seccomp
from service.tools.seccomp import OWN_PID, Filter, Match, Rule

OPEN_FILES: Final = 256  # ffmpeg with ten renditions holds about thirty
#: The descriptor that a program is started by: nothing can be opened or moved there, so nothing else can be started.
PROGRAM: Final = OPEN_FILES

CLONE_THREAD: Final = 0x0001_0000
NAMESPACES: Final = 0x7E02_0080  # CLONE_NEW…
AT_EMPTY_PATH: Final = 0x1000
# TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIOCLEX, FIONCLEX: what files are asked, and whether exec closes them
REQUESTS: Final = (0x5401, 0x5413, 0x541B, 0x5421, 0x5451, 0x5450)
PR_GET_DUMPABLE, PR_SET_NAME, PR_GET_NAME, PR_CAPBSET_READ, PR_GET_NO_NEW_PRIVS = 3, 15, 16, 23, 39

_FILES = """
    access chdir close close_range dup dup2 dup3 faccessat faccessat2 fadvise64 fallocate fchdir fcntl fdatasync
    flock fstat fstatfs fsync ftruncate getcwd getdents getdents64 lseek lstat newfstatat open openat pipe pipe2
    poll ppoll pread64 preadv preadv2 pselect6 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv
    rename renameat renameat2 select sendfile stat statfs statx sync_file_range truncate umask unlink unlinkat write
    writev
"""
_MEMORY = """
    brk get_mempolicy madvise mbind membarrier mincore mlock mlock2 mmap mprotect mremap msync munlock munmap
    set_mempolicy
"""
_THREADS = """
    arch_prctl clock_getres clock_gettime clock_nanosleep exit exit_group futex getcpu getrandom
    gettid gettimeofday nanosleep restart_syscall rseq sched_get_priority_max sched_get_priority_min
    sched_getaffinity sched_getparam sched_getscheduler sched_yield set_robust_list set_tid_address time wait4
    waitid
"""
_SIGNALS = "pause rt_sigaction rt_sigpending rt_sigprocmask rt_sigreturn rt_sigsuspend rt_sigtimedwait sigaltstack"
_ITSELF = """
    capget getegid geteuid getgid getgroups getpgid getpgrp getpid getppid getpriority getresgid getresuid getrlimit
    getrusage getsid getuid sysinfo times uname
"""
_WITH_ARGUMENTS = (
    Rule("clone", (Match(0, CLONE_THREAD, CLONE_THREAD | NAMESPACES),)),
    Rule("prlimit64", (Match(0, 0), Match(2, 0))),  # its own limits, to read them
    Rule("tgkill", (Match(0, OWN_PID),)),  # abort()
    Rule("kill", (Match(0, OWN_PID),)),
    *(Rule("ioctl", (Match(1, request, 0xFFFF_FFFF),)) for request in REQUESTS),
    *(
        Rule("prctl", (Match(0, option),))
        for option in (PR_GET_DUMPABLE, PR_SET_NAME, PR_GET_NAME, PR_CAPBSET_READ, PR_GET_NO_NEW_PRIVS)
    ),
)
_HEARS = "getsockname getsockopt recvmsg"  # its requests, from the socket that it was born with
_STARTS = Rule("execveat", (Match(0, PROGRAM), Match(4, AT_EMPTY_PATH)))

#: Refused by name, so that the answer is EPERM; all the rest is to these decoders as if the kernel had not got it.
_REFUSED = """
    accept accept4 acct add_key adjtimex bind bpf chmod chown chroot clock_adjtime clock_settime connect
    delete_module execve fanotify_init fchmod fchmodat fchown fchownat finit_module fork fsconfig fsmount fsopen
    fspick getpeername init_module inotify_init inotify_init1 io_setup io_submit io_uring_enter io_uring_register
    io_uring_setup ioperm iopl kcmp kexec_file_load kexec_load keyctl lchown link linkat listen lookup_dcookie
    memfd_create migrate_pages mkdir mkdirat mknod mknodat mount mount_setattr move_mount move_pages mq_open msgget
    name_to_handle_at open_by_handle_at open_tree perf_event_open personality pidfd_getfd pidfd_open
    pidfd_send_signal pivot_root process_madvise process_vm_readv process_vm_writev ptrace quotactl reboot
    request_key rt_sigqueueinfo rt_tgsigqueueinfo sched_setaffinity sched_setattr sched_setparam sched_setscheduler
    seccomp semget sendmmsg sendmsg sendto setdomainname setfsgid setfsuid setgid setgroups sethostname setns
    setpgid setpriority setregid setresgid setresuid setreuid setrlimit setsid setsockopt settimeofday setuid
    setxattr shmget shutdown socket socketpair splice swapoff swapon symlink symlinkat sync syslog tee timer_create
    tkill umount2 unshare userfaultfd utimensat vfork vhangup vmsplice
"""
_NO_PROCESS = Rule("clone", (Match(0, 0, CLONE_THREAD),))


class Kind(Enum):
    """What a child is for."""

    FUNCTION = auto()
    ASSISTANT = auto()
    PROGRAM = auto()


def compiled(kind: Kind, *, machine: str | None = None) -> Filter:
    """The filter of one kind.

    :raises OSError: when libseccomp can't be used.
    """
    names = _FILES + _MEMORY + _THREADS + _SIGNALS + " " + _ITSELF + (_HEARS if kind is Kind.ASSISTANT else "")
    allowed, refused = (*map(Rule, names.split()), *_WITH_ARGUMENTS), (*map(Rule, _REFUSED.split()), _NO_PROCESS)
    if kind is Kind.PROGRAM:
        return seccomp.compiled((*allowed, _STARTS), refused, machine=machine)
    return seccomp.compiled(allowed, (*refused, Rule("execveat")), machine=machine)
