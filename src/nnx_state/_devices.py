"""Processes in which CPUs stand for devices: how a function gets there, and how its result comes back."""

import marshal
import os
import pickle
import socket
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from subprocess import PIPE
from types import FunctionType
from typing import Any

from nnx_state._stacks import unescaped


def run(program: FunctionType, arguments: tuple[Any, ...], devices: int, processes: int, timeout: float) -> list[Any]:
    """Call a function in new processes, and return the result of each.

    The code of the function travels alone, without its defaults and the names around it.

    Args:
        program: what to call.
        arguments: what to call it with.
        devices: the number of devices in all.
        processes: the number of processes, which share the devices out evenly.
        timeout: the longest time that a process may take, in seconds.

    Raises:
        RuntimeError: If a process raised or broke off; a note holds what it wrote to its standard error.
        TimeoutError: If a process took too long; a note tells the line where it stood.
    """
    codes = marshal.dumps(_serve.__code__) + marshal.dumps(program.__code__)
    address = _free_address()
    jobs = [codes + pickle.dumps((arguments, address, processes, number)) for number in range(processes)]
    children = [_start(devices // processes, timeout) for _ in jobs]
    with ThreadPoolExecutor(processes) as pool:
        try:
            tasks = [pool.submit(_talk, child, job) for child, job in zip(children, jobs, strict=True)]
            for task in as_completed(tasks):
                task.result()  # raises as soon as one process failed; the others may wait for it
        finally:
            for child in children:
                child.kill()
    print("".join(printed for _, printed in map(Future.result, tasks)), end="")
    return [result for result, _ in map(Future.result, tasks)]


def _start(devices: int, timeout: float) -> subprocess.Popen[bytes]:
    """Start a process that has so many devices and waits for a job."""
    # It ends itself in time, so that it is not left behind even if this process is killed.
    command = f"import faulthandler, marshal, sys; faulthandler.dump_traceback_later({timeout}, exit=True)"
    command += "; exec(marshal.load(sys.stdin.buffer))"
    # JAX would wait for a proxy in vain.
    environment = {name: value for name, value in os.environ.items() if "_proxy" not in name.lower()}
    environment |= {"JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": str(devices)}
    return subprocess.Popen([sys.executable, "-c", command], env=environment, stdin=PIPE, stdout=PIPE, stderr=PIPE)


def _free_address() -> str:
    """Return an address of this machine at which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def _talk(child: subprocess.Popen[bytes], job: bytes) -> Any:
    """Hand a job to a process, wait for its end and return what it returned and printed."""
    answer, errors = child.communicate(job)
    if child.returncode == 0:
        return pickle.loads(answer)
    error: Exception
    note = errors.decode(errors="replace")
    if "Timeout (" in note:
        note = unescaped(note)
        error = TimeoutError(
            "a process must end in time, got no end (its note tells where it stood): "
            "let all processes take the same steps, or raise timeout=."
        )
    else:
        cause = answer.decode() or f"exit code {child.returncode}"
        error = RuntimeError(f"a process must end without an error (see its note), got {cause}")
    error.add_note(note)
    raise error


def _serve() -> None:
    """Do the job that the standard input brings; the code of this function travels alone as well."""
    import contextlib
    import io
    import marshal
    import os
    import pickle
    import sys
    import traceback
    from types import FunctionType

    program = FunctionType(marshal.load(sys.stdin.buffer), globals())
    arguments, address, processes, number = pickle.load(sys.stdin.buffer)
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # libraries such as Gloo print too, and that is no answer
    try:
        if processes > 1:
            import jax

            jax.distributed.initialize(address, processes, number, coordinator_bind_address=address)
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            result = program(*arguments)
        answer = pickle.dumps((result, printed.getvalue()))
    except Exception as error:
        traceback.print_exc()
        with output:
            output.write(f"{type(error).__name__} in process {number}: {error}".encode())
        os._exit(1)  # the usual way out waits for the other processes
    with output:
        output.write(answer)
