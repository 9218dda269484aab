"""Runs beside a process that has queries performed: it has imported the engine, and forks for each query.

`query_processes` is the owner's side of it.
"""

import fcntl
import gc
import os
import resource
import select
import signal
import socket
import sys
import traceback
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import NoReturn

from application.shared.engines import RunFailed, RunFailure
from domain.shared.refusal import Refused

DESCRIPTORS_MAX = 3
"""The conversation, the life line, and a lock that is kept as long as the query goes on."""


def main() -> None:
    """Fork for each message that comes over the socket whose number is the only argument, until it closes."""
    from infrastructure.duckdb_engine import warm_up

    gc.disable()
    warm_up()
    gc.freeze()  # else each fork's collections would copy all that they look at
    control = socket.socket(fileno=int(sys.argv[1]))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group: the owner decides
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 1, DESCRIPTORS_MAX)
        if not message:
            return
        if os.fork() == 0:
            control.close()
            _perform(descriptors[0], descriptors[1])
        for descriptor in descriptors:
            os.close(descriptor)


def _perform(conversation: int, life_line: int) -> NoReturn:
    """Do what is asked for, answer, end. Whatever happens, the fork never gets back into `main`."""
    try:
        _end_with(life_line)
        _be_the_first_to_go()
        with Connection(conversation) as told:
            memory_bytes, call, arguments = told.recv()
            resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
            told.send(_answer(call, arguments, told))
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)


def _answer(call: object, arguments: tuple[object, ...], told: Connection) -> tuple[str, object]:
    """What came of it, as data: exceptions with fields of their own don't survive being sent."""
    assert callable(call)
    try:
        return "done", call(*arguments, told.send)
    except RunFailed as failed:
        return "failed", (failed.code, failed.values)
    except Refused as refused:
        return "refused", refused.faults
    except MemoryError:
        return "failed", (RunFailure.MEMORY_LIMIT, {})
    except OSError as error:
        return "raised", error


def _end_with(life_line: int) -> None:
    """Have the kernel end this process when the line's other end closes, whatever it is computing then.

    The signal for input, sent by anything that happens on the line, ends a process that does not handle it.
    No id of a process is needed that might be another's by then, and who was killed closes the line, too.
    """
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGIO])
    fcntl.fcntl(life_line, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(life_line, fcntl.F_SETFL, os.O_ASYNC)
    if select.select([life_line], [], [], 0)[0]:
        os._exit(0)


def _be_the_first_to_go() -> None:
    """Should the machine's memory run out, the kernel ends a query, not the worker."""
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:
        score.write("1000")


if __name__ == "__main__":
    main()
    os._exit(0)  # the prepared database is nobody's, and its library would complain of that
