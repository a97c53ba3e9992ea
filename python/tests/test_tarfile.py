"""`lmic.tarfile`, beside the standard library's tarfile and shutil."""

import io
import shutil
import sys
import tarfile

import pytest

import lmic
import lmic.tarfile


@pytest.fixture
def tree(tmp_path):
    """A folder with a few files, one of them in a folder of its own."""
    folder = tmp_path / "tree"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.txt").write_bytes(b"to be, or not to be, " * 100)
    (folder / "sub" / "b.bin").write_bytes(bytes(range(256)) * 40)
    (folder / "empty").write_bytes(b"")
    return folder


def contents(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.parametrize("mode", ["r", "r:*", "r:lmic"])
def test_members_come_back(tree, tmp_path, mode):
    path = tmp_path / "x.tar.lmic"
    with lmic.tarfile.open(path, "w:lmic", level=1) as tar:
        tar.add(tree, "tree")
    with lmic.tarfile.open(path, mode) as tar:
        assert isinstance(tar, tarfile.TarFile)
        assert tar.extractfile("tree/a.txt").read() == (tree / "a.txt").read_bytes()
        tar.extractall(tmp_path / "out")
    assert contents(tmp_path / "out" / "tree") == contents(tree)


def test_the_file_is_a_tar_archive_in_an_archive(tree, tmp_path):
    path = tmp_path / "x.tar.lmic"
    with lmic.tarfile.open(path, "w:lmic", level=1) as tar:
        tar.add(tree, "tree")
    with tarfile.open(fileobj=io.BytesIO(lmic.decompress(path.read_bytes()))) as tar:
        assert "tree/sub/b.bin" in tar.getnames()


def test_other_compressions_still_open(tree, tmp_path):
    path = tmp_path / "x.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        tar.add(tree, "tree")
    with lmic.tarfile.open(path) as tar:
        assert "tree/a.txt" in tar.getnames()


def test_what_is_no_archive_is_a_read_error():
    for bad in [b"no archive", b"", lmic.compress(b"no tar archive" * 100, 1)]:
        with pytest.raises(tarfile.ReadError):
            lmic.tarfile.open(fileobj=io.BytesIO(bad), mode="r:lmic")
    with pytest.raises(ValueError, match="mode"):
        lmic.tarfile.open(fileobj=io.BytesIO(), mode="a:lmic")


def test_options_are_those_of_open_and_of_tarfile(tree, tmp_path, models):
    path = tmp_path / "x.tar.lmic"
    model = lmic.load_model(models / "byte-200k.safetensors")
    with lmic.tarfile.open(path, "w:lmic", model=model, format=tarfile.USTAR_FORMAT) as tar:
        tar.add(tree / "a.txt", "a.txt")
    content = lmic.decompress(path.read_bytes(), model=model)
    assert path.read_bytes() == lmic.compress(content, model=model)
    with lmic.tarfile.open(path, "r:lmic", model=model, ignore_zeros=True) as tar:
        assert tar.ignore_zeros and tar.extractfile("a.txt").read() == (tree / "a.txt").read_bytes()
    with pytest.raises(TypeError, match="levle"):
        lmic.tarfile.open(path, "w:lmic", levle=1)


def test_is_tarfile(tree, tmp_path):
    path = tmp_path / "x.tar.lmic"
    with lmic.tarfile.open(path, "w:lmic", level=1) as tar:
        tar.add(tree, "tree")
    with path.open("rb") as file:
        assert lmic.tarfile.is_tarfile(path) and lmic.tarfile.is_tarfile(file) and file.tell() == 0
    (tmp_path / "y.lmic").write_bytes(lmic.compress(b"no tar archive" * 100, 1))
    assert not lmic.tarfile.is_tarfile(tmp_path / "y.lmic")
    assert not lmic.tarfile.is_tarfile(tree / "a.txt")


def test_exclusive_creation(tree, tmp_path):
    path = tmp_path / "x.tar.lmic"
    path.write_bytes(b"here already")
    with pytest.raises(FileExistsError):
        lmic.tarfile.open(path, "x:lmic")
    assert path.read_bytes() == b"here already"


def test_an_exception_leaves_no_whole_archive(tree, tmp_path):
    path = tmp_path / "x.tar.lmic"
    with pytest.raises(KeyError), lmic.tarfile.open(path, "w:lmic", level=1) as tar:
        tar.add(tree, "tree")
        raise KeyError
    with pytest.raises(lmic.LmicError):
        lmic.decompress(path.read_bytes())


def test_what_does_not_begin_leaves_no_whole_archive(tmp_path):
    path = tmp_path / "x.tar.lmic"
    with pytest.raises((TypeError, AttributeError)):
        lmic.tarfile.open(path, "w:lmic", level=1, format=tarfile.PAX_FORMAT, pax_headers={1: 2})
    with pytest.raises(lmic.LmicError):
        lmic.decompress(path.read_bytes())


@pytest.mark.parametrize("pipe", [False, True])
def test_a_stream_of_blocks_over_an_open_file(tree, pipe):
    file = io.BytesIO()
    with lmic.open(file, "wb", level=1) as coded, tarfile.open(fileobj=coded, mode="w|" if pipe else "w") as tar:
        tar.add(tree / "a.txt", "a.txt")
    file.seek(0)
    with lmic.open(file) as coded, tarfile.open(fileobj=coded, mode="r|" if pipe else "r") as tar:
        assert [(m.name, tar.extractfile(m).read()) for m in tar] == [("a.txt", (tree / "a.txt").read_bytes())]


def test_shutil_packs_and_unpacks(tree, tmp_path):
    path = shutil.make_archive(str(tmp_path / "new" / "x"), "lmictar", tree.parent, "tree")
    assert path == str(tmp_path / "new" / "x.tar.lmic")
    shutil.unpack_archive(path, tmp_path / "out")
    assert contents(tmp_path / "out" / "tree") == contents(tree)
    (tmp_path / "bad.tar.lmic").write_bytes(b"no archive")
    with pytest.raises(shutil.ReadError):
        shutil.unpack_archive(tmp_path / "bad.tar.lmic", tmp_path / "out")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no owners by name")
def test_shutil_gives_members_an_owner(tree, tmp_path):
    path = shutil.make_archive(str(tmp_path / "x"), "lmictar", tree, owner="root", group="root")
    with lmic.tarfile.open(path) as tar:
        assert {(m.uname, m.gname, m.uid, m.gid) for m in tar} == {("root", "root", 0, 0)}


@pytest.mark.skipif(not hasattr(tarfile, "data_filter"), reason="this Python cannot refuse such members")
def test_unpacking_stays_inside(tmp_path):
    path = tmp_path / "x.tar.lmic"
    with lmic.tarfile.open(path, "w:lmic", level=1) as tar:
        tar.addfile(lmic.tarfile.TarInfo("../outside"))
    with pytest.raises(tarfile.FilterError):
        shutil.unpack_archive(path, tmp_path / "out")
