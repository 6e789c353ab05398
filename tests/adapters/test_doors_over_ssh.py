"""The doors over a real connection: what a user without rights finds shut, and root finds open, decides about a fork."""

from __future__ import annotations

import getpass
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from accel_ci.adapters import ssh
from accel_ci.adapters.supervised import SupervisedRemote
from accel_ci.domain import errors
from accel_ci.domain.machine import Machine, Worker
from accel_ci.domain.verdict import Verdict
from accel_ci.operations import records
from accel_ci.ports.world import World
from accel_ci.usecases import provision, run_remote
from tests.contracts import remote_worlds
from tests.contracts.remote_worlds import DEADLINES, LocalWorld
from tests.servers import sshd
from tests.servers.sshd import Sshd
from tests.usecases import worlds
from tests.usecases.worlds import KEY, WORK, Fakes

# Not the metadata's: whether somebody answers there is a matter of the computer that the tests run on.
DOORS = " ACCEL_CI_DOORS=memory,root,processes,files"
NOBODY = 65534
IS_ROOT = os.geteuid() == 0


class Host:
    """A computer behind OpenSSH whose commands run as `user` says: as root where the tests do, or without any rights."""

    def __init__(self, directory: Path, *, confined: bool) -> None:
        key = directory / "key"
        public = ssh.new_key(str(key))
        endpoint = ("127.0.0.1", sshd.free_port())
        drop = f'setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups sh -c "$SSH_ORIGINAL_COMMAND"'
        more = DOORS + (f"\n  ForceCommand {drop}" if confined and IS_ROOT else "")
        self._sshd = Sshd(directory, [endpoint], public_key=public, more=more)
        if IS_ROOT and confined:
            os.chown(self._sshd.homes[endpoint], NOBODY, NOBODY)
        self.worker = Worker(
            index=0,
            address=endpoint[0],
            port=endpoint[1],
            user=getpass.getuser(),
            host_keys=(self._sshd.host_key,),
        )
        self.remote = SupervisedRemote(ssh.Ssh(str(key), connect_s=10), DEADLINES)

    def close(self) -> None:
        """Nothing is left."""
        self.remote.close()
        self._sshd.close()


@pytest.fixture
def host(request: pytest.FixtureRequest) -> Iterator[Host]:
    """The host that the test is parametrized with; not below pytest's directory, which only root may enter."""
    directory = Path(tempfile.mkdtemp(prefix="accel-ci-host-"))
    directory.chmod(0o755)
    made = Host(directory, confined=request.param)
    yield made
    made.close()
    shutil.rmtree(directory)


confined = pytest.mark.parametrize("host", [True], indirect=True)
as_it_is = pytest.mark.parametrize("host", [False], indirect=True)


def _leased(host: Host, *, trust: str) -> tuple[Fakes, World]:
    """A world of fakes but for its one machine, which is the host."""
    fakes, record = Fakes(), worlds.record()
    record.identity.trust = trust
    provision.provision(fakes.world, record, KEY, order=worlds.order())
    machine: Machine = records.load_machine(fakes.files, "")
    records.save_machine(fakes.files, "", replace(machine, workers=(host.worker,), root="accel-ci"))
    return fakes, replace(fakes.world, remote=host.remote)


@pytest.mark.judge("sshd")
@pytest.mark.judge("ssh")
@confined
def test_a_user_without_rights_finds_all_shut(host: Host) -> None:
    """Through ssh, as the very user that would run the tests: everything was tried and nothing is open."""
    (tried,) = host.remote.prepare(remote_worlds.machine("m", [host.worker]))
    assert tried.names == ("memory", "root", "processes", "files")
    assert tried.open == {}


@pytest.mark.judge("sshd")
@pytest.mark.judge("ssh")
@as_it_is
def test_a_strangers_code_is_not_sent_to_where_it_would_be_root(host: Host) -> None:
    """Where the commands would run as root, a fork's source is not even sent; elsewhere it goes on to that."""
    fakes, world = _leased(host, trust="fork")
    with pytest.raises((errors.CloudError, FileNotFoundError)):
        run_remote.run_remote(world, WORK, slot="")
    kept = records.load(fakes.files, "")
    assert kept.doors is not None and bool(kept.doors.open) is IS_ROOT
    assert bool(fakes.sources.packed) is not IS_ROOT
    assert (kept.verdict is Verdict.INFRA_ERROR and "the user is root" in kept.reason) is IS_ROOT


def test_on_this_computer_nothing_is_tried(tmp_path: Path) -> None:
    """Whoever tries things at home has all rights there, and is not bothered."""
    here = LocalWorld(tmp_path)
    machine = replace(here.machine(), handle="local://here")
    with here.remote() as remote:
        assert remote.prepare(machine) == []
