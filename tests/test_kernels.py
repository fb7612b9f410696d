"""The kernels in which the tests run notebooks stay out of the way of the servers in them."""

import subprocess
import sys

import psutil
import pytest
from jupyter_client.manager import start_new_kernel


@pytest.mark.skipif(sys.platform == "win32", reason="ZeroMQ speaks through files on other systems only")
def test_a_kernel_is_spoken_to_over_no_port_that_a_server_could_get_first() -> None:
    manager, client = start_new_kernel(kernel_name="python3", stderr=subprocess.DEVNULL)
    try:
        assert client.execute_interactive("1 + 1", timeout=60)["content"]["status"] == "ok"
        assert manager.provisioner is not None
        talks = psutil.Process(manager.provisioner.pid).net_connections("tcp")
        assert [talk for talk in talks if talk.status == psutil.CONN_ESTABLISHED] == []
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
