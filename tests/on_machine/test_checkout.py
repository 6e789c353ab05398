"""Merging base and commit on the machine: the same merge for the same two commits, whatever is written in them."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
from typing import Any

import pytest

from tests.adapters.git_repository import Repository
from tests.on_machine.worker_root import WorkerRoot

LINES = "".join(f"{number}\n" for number in range(10))


class Fork:
    """A repository whose `main` and `topic` went their own ways from one commit; `base` and `head` are their SHAs."""

    def __init__(self, path: pathlib.Path, *, object_format: str = "sha1") -> None:
        self.repository = Repository(path, object_format=object_format)
        self.base = self.head = self.repository.commit(shared=LINES)
        self.git("branch", "topic")

    def git(self, *arguments: str) -> str:
        """What git prints."""
        return self.repository.git(*arguments)

    def write(self, branch: str, **files: str) -> str:
        """The SHA of a new commit of the branch with these files."""
        self.git("checkout", "--quiet", branch)
        sha = self.repository.commit(**files)
        self.base, self.head = (sha, self.head) if branch == "main" else (self.base, sha)
        return sha

    def attributes(self, branch: str, text: str) -> None:
        """A commit of the branch with these .gitattributes."""
        self.git("checkout", "--quiet", branch)
        (self.repository.path / ".gitattributes").write_text(text)
        self.write(branch)

    def bundle(self) -> bytes:
        """Everything."""
        self.git("bundle", "create", "--quiet", "../fork.bundle", "--all")
        return (self.repository.path.parent / "fork.bundle").read_bytes()


@pytest.fixture
def fork(tmp_path: pathlib.Path) -> Fork:
    """A fork whose sides changed different lines of the same file, and each added one."""
    made = Fork(tmp_path / "fork")
    made.write("main", shared="base\n" + LINES, ours="1")
    made.write("topic", shared=LINES + "topic\n", theirs="1")
    return made


def merge(root: WorkerRoot, fork: Fork, *, base: str = "", head: str = "", **options: Any) -> dict[str, Any]:
    """The courier's answer."""
    wanted = ("--sha", head or fork.head, "--base", base or fork.base)
    done = root.call("courier.py", "unpack", *wanted, data=fork.bundle(), **options)
    answer: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (0 if answer["ok"] else 1), done
    assert list(root.path.glob(".unpack-*/")) == []
    return answer


def in_source(root: WorkerRoot, *arguments: str) -> str:
    """What git says in the source directory."""
    done = subprocess.run(["git", *arguments], cwd=root.path / "source", capture_output=True, check=True)
    return done.stdout.decode().strip()


def test_base_and_commit_are_merged(any_root: WorkerRoot, fork: Fork) -> None:
    """On every Python: both sides' changes are there, committed and clean, and the answer names all four objects."""
    answer = merge(any_root, fork)
    assert (answer["ok"], answer["obstacle"]) == (True, "")
    assert (answer["sha"], answer["base"]) == (fork.head, fork.base)
    assert (answer["merge"], answer["tree"]) == tuple(in_source(any_root, "rev-parse", "HEAD", "HEAD^{tree}").split())
    assert in_source(any_root, "rev-parse", "HEAD^1", "HEAD^2").split() == [fork.base, fork.head]
    assert (any_root.path / "source/shared.txt").read_text() == f"base\n{LINES}topic\n"
    assert sorted(os.listdir(any_root.path / "source")) == [".git", "ours.txt", "shared.txt", "theirs.txt"]
    assert in_source(any_root, "status", "--porcelain") == ""
    assert not (any_root.path / "source/.git/info/attributes").exists()


def test_the_same_two_commits_give_the_same_merge(fork: Fork, tmp_path: pathlib.Path) -> None:
    """On two machines, at two times, for users of other names: one commit id, and git's own merge has the same tree."""
    answers = []
    for number in range(2):
        user = {"GIT_AUTHOR_NAME": f"user {number}", "GIT_COMMITTER_DATE": f"@{number} +0100", "TZ": f"UTC+{number}"}
        answers.append(merge(WorkerRoot(tmp_path / str(number)), fork, env=os.environ | user))
    assert answers[0] == answers[1]
    fork.git("checkout", "--quiet", "--detach", fork.base)
    fork.git("merge", "--quiet", "--no-edit", fork.head)
    assert fork.git("rev-parse", "HEAD^{tree}") == answers[0]["tree"]


def test_a_merge_has_the_date_of_its_commit(root: WorkerRoot, fork: Fork) -> None:
    """Builds take their date from the newest commit, and zip archives know no year before 1980."""
    merge(root, fork)
    assert in_source(root, "log", "-1", "--format=%ct %at") == " ".join(
        [fork.git("log", "-1", "--format=%ct", fork.head)] * 2
    )


def test_a_repository_of_sha256_is_merged(root: WorkerRoot, tmp_path: pathlib.Path) -> None:
    """Names of 64 digits work as well."""
    fork = Fork(tmp_path / "new", object_format="sha256")
    fork.write("main", ours="1")
    fork.write("topic", theirs="1")
    assert len(merge(root, fork)["merge"]) == 64


def test_a_conflict_is_told_and_nothing_is_unpacked(root: WorkerRoot, fork: Fork) -> None:
    """The files in conflict are named, the rest is counted, and the source directory stays as it was."""
    (root.path / "source" / "before").write_text("x")
    fork.write("main", **{f"f{number}": "base" for number in range(8)})
    fork.write("topic", **{f"f{number}": "topic" for number in range(8)})
    answer = merge(root, fork)
    assert answer["ok"] and answer["obstacle"] == "conflicts in f0.txt, f1.txt, f2.txt, f3.txt, f4.txt and 3 more"
    assert (answer["merge"], answer["tree"]) == ("", "")
    assert os.listdir(root.path / "source") == ["before"]


@pytest.mark.parametrize("side", ["main", "topic"])
@pytest.mark.parametrize("driver", ["union", "evil", "ours", "binary"])
def test_files_choose_no_merge_driver(root: WorkerRoot, fork: Fork, side: str, driver: str) -> None:
    """`merge=union` and the like in .gitattributes neither hide a conflict nor make one, and no driver of theirs runs."""
    fork.attributes(side, f"* merge={driver} conflict-marker-size=1\n*.txt -merge\n[attr]evil merge={driver}\n")
    assert merge(root, fork)["obstacle"] == ""
    fork.write("main", shared="base again\n" + LINES)
    fork.write("topic", shared="topic again\n" + LINES)
    assert merge(root, fork)["obstacle"] == "conflicts in shared.txt"


def test_programs_named_in_configurations_do_not_run(root: WorkerRoot, fork: Fork, tmp_path: pathlib.Path) -> None:
    """Merge drivers, hooks, filters and signing that the machine's user has set up have no say in the merge."""
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\ncat\n")
    trap.chmod(0o755)
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for hook in ("pre-merge-commit", "prepare-commit-msg", "commit-msg", "post-merge", "post-checkout"):
        (hooks / hook).symlink_to(trap)
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(
        f"[core]\nhooksPath = {hooks}\nfsmonitor = {trap}\n[commit]\ngpgSign = true\n[gpg]\nprogram = {trap}\n"
        f'[merge "evil"]\ndriver = {trap} %A\n[filter "evil"]\nsmudge = {trap}\nclean = {trap}\n'
        "[merge]\nff = only\nverifySignatures = true\n"
    )
    fork.attributes("topic", "* merge=evil filter=evil\n")
    answer = merge(root, fork, env=os.environ | {"HOME": str(home), "GIT_CONFIG_GLOBAL": str(home / ".gitconfig")})
    assert answer["obstacle"] == "" and not (tmp_path / "sprung").exists()


def test_line_endings_are_no_obstacle(root: WorkerRoot, fork: Fork) -> None:
    """Files whose line endings git would change at a check-in merge all the same: no work tree has a say."""
    fork.git("checkout", "--quiet", "main")
    (fork.repository.path / "dos.txt").write_bytes(b"".join(b"%d\r\n" % number for number in range(10)))
    fork.write("main")
    fork.git("checkout", "--quiet", "topic")
    fork.git("merge", "--quiet", "--no-edit", "main")
    fork.attributes("topic", "*.txt text eol=crlf ident\n")
    fork.write("main", other="x")
    assert merge(root, fork)["obstacle"] == ""


def test_a_criss_cross_is_merged(root: WorkerRoot, fork: Fork) -> None:
    """Two branches that merged one another again and again have many common ancestors; they merge all the same."""
    for number in range(30):
        base, head = fork.base, fork.head
        for branch, other in (("main", head), ("topic", base)):
            fork.git("checkout", "--quiet", branch)
            fork.git("merge", "--quiet", "--no-edit", other)
            fork.write(branch, **{f"{branch}{number}": "x"})
    assert merge(root, fork)["obstacle"] == ""


def test_commits_without_a_common_history(root: WorkerRoot, fork: Fork) -> None:
    """They are not merged, and it is said why."""
    fork.git("checkout", "--quiet", "--orphan", "alone")
    fork.head = fork.repository.commit(alone="1")
    assert merge(root, fork)["obstacle"] == "they have no common history"


def test_what_needs_no_merge(root: WorkerRoot, fork: Fork, tmp_path: pathlib.Path) -> None:
    """A commit that the base has already gives the base itself; one that has the base gives its own files."""
    contained = merge(root, fork, head=fork.git("merge-base", fork.base, fork.head))
    assert contained["merge"] == fork.base
    ahead = merge(WorkerRoot(tmp_path / "second"), fork, base=fork.git("merge-base", fork.base, fork.head))
    assert ahead["tree"] == fork.git("rev-parse", f"{fork.head}^{{tree}}") and ahead["merge"] != fork.head


def test_names_that_differ_in_case_only(root: WorkerRoot, fork: Fork) -> None:
    """`README.txt` of one side and `readme.txt` of the other are two files."""
    fork.write("main", README="base")
    fork.write("topic", readme="topic")
    assert merge(root, fork)["obstacle"] == ""
    assert {"README.txt", "readme.txt"} <= set(os.listdir(root.path / "source"))


def test_a_hostile_name_in_conflict_is_one_bounded_name(root: WorkerRoot, fork: Fork) -> None:
    """Newlines and length of a name do not get out of hand; whoever shows it makes it plain."""
    name = "x" * 150 + "\n::error::"
    fork.write("main", **{name: "base"})
    fork.write("topic", **{name: "topic"})
    assert merge(root, fork)["obstacle"] == f"conflicts in {name}.txt"


@pytest.mark.parametrize("kind", ["tag", "tree", "nothing", "option"])
def test_a_base_that_is_no_commit_is_refused(root: WorkerRoot, fork: Fork, kind: str) -> None:
    """A tag, a tree, what is not in the bundle, and what is no name at all."""
    fork.git("tag", "--annotate", "v1", "--message", "x", fork.base)
    names = {"tag": fork.git("rev-parse", "v1"), "tree": fork.git("rev-parse", "main^{tree}"), "nothing": "ab" * 20}
    answer = merge(root, fork, base=names.get(kind, "HEAD"))
    assert not answer["ok"] and "commit" in answer["error"] + "commit" * (kind == "nothing")


def test_another_base_is_another_source(root: WorkerRoot, fork: Fork) -> None:
    """The same commit alone, or merged into another base, replaces what is there; the same again does not."""
    first = merge(root, fork)
    (root.path / "source" / "left").write_text("x")
    assert merge(root, fork) == first and (root.path / "source" / "left").exists()
    second = merge(root, fork, base=fork.write("main", more="1"))
    assert second["merge"] != first["merge"] and not (root.path / "source" / "left").exists()
    alone = root.call("courier.py", "unpack", "--sha", fork.head, data=fork.bundle())
    assert json.loads(alone.stdout)["ok"] and in_source(root, "rev-parse", "HEAD") == fork.head


@pytest.mark.parametrize("merging", [False, True])
def test_a_bomb_of_trees_is_refused(root: WorkerRoot, fork: Fork, merging: bool) -> None:
    """Ten trees that name one another ten times each are 10,000,000,000 files: refused by counting, within seconds."""
    blob = fork.repository.raw("blob", b"boom")
    content = b"".join(b"100644 %d\0" % number + bytes.fromhex(blob) for number in range(10))
    for _ in range(9):
        tree = fork.repository.raw("tree", content)
        content = b"".join(b"40000 %d\0" % number + bytes.fromhex(tree) for number in range(10))
    bomb = fork.git("commit-tree", fork.repository.raw("tree", content), "-p", fork.head, "-m", "boom")
    fork.git("branch", "bomb", bomb)
    wanted = ["--sha", bomb, *(["--base", fork.base] if merging else [])]
    done = root.call("courier.py", "unpack", *wanted, data=fork.bundle())
    assert json.loads(done.stdout)["error"] == f"{bomb} has more than 1000000 files"


def test_what_is_not_there_is_counted(root: WorkerRoot, fork: Fork) -> None:
    """Submodules and files of Git LFS that nobody fetched are counted; a plain file with that attribute is none."""
    fork.attributes("topic", "*.txt filter=lfs diff=lfs merge=lfs -text\n")
    fork.write("topic", big="version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", small="content")
    (fork.repository.path / "link.txt").symlink_to("big.txt")
    fork.git("update-index", "--add", "--cacheinfo", f"160000,{fork.base},lib")
    fork.git("commit", "--quiet", "--message", "a submodule")
    done = root.call("courier.py", "unpack", "--sha", fork.git("rev-parse", "HEAD"), data=fork.bundle())
    told = json.loads(done.stdout)
    assert (told["submodules"], told["lfs"]) == (1, 1)


def test_git_on_the_machine_knows_where_the_code_came_from(root: WorkerRoot, fork: Fork) -> None:
    """The address, and nothing that opens it, is the remote `origin`; without an address there is none."""
    address = "https://example.org/org/hello"
    root.call("courier.py", "unpack", "--sha", fork.head, "--origin", address, data=fork.bundle())
    assert in_source(root, "remote", "get-url", "origin") == address
    root.call("courier.py", "unpack", "--sha", fork.base, data=fork.bundle())
    assert in_source(root, "remote") == ""


def test_a_merge_that_takes_too_long_is_ended(root: WorkerRoot, fork: Fork) -> None:
    """Its limit is told, and neither a process nor half a source is left."""
    program = root.path / "checkout.py"
    program.write_text(program.read_text().replace("MERGE_S = 300.0", "MERGE_S = 0.0001"))
    answer = merge(root, fork)
    assert not answer["ok"] and "git merge was killed" in answer["error"]
    assert os.listdir(root.path / "source") == []


def test_a_rename_of_thousands_of_files_is_merged(root: WorkerRoot, fork: Fork) -> None:
    """One side moves 3,000 files, the other changes some of them: the changes follow, as git's own merge has it."""
    fork.git("checkout", "--quiet", "--detach", fork.git("merge-base", fork.base, fork.head))
    folder = fork.repository.path / "old"
    folder.mkdir()
    for number in range(3000):
        (folder / f"{number}.py").write_text(f"value = {number}\n" * 5)
    fork.repository.commit()
    fork.git("branch", "--force", "topic")
    fork.git("branch", "--force", "main")
    fork.git("checkout", "--quiet", "main")
    fork.git("mv", "old", "new")
    fork.write("main")
    fork.git("checkout", "--quiet", "topic")
    (folder / "7.py").write_text("value = 7\n" * 6)
    fork.write("topic")
    assert merge(root, fork)["obstacle"] == ""
    assert (root.path / "source/new/7.py").read_text() == "value = 7\n" * 6
