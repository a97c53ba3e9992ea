"""`lmic.fsspec`: what reads files by URL reads and writes `.lmic` files."""

import io
import subprocess
import sys
import tarfile

import pytest

fsspec = pytest.importorskip("fsspec")

import lmic  # noqa: E402
import lmic.fsspec  # noqa: E402

LINES = "".join(f"{n},{n * n}\n" for n in range(2000))
TABLE = "n,square\n" + LINES


@pytest.fixture
def url(tmp_path):
    path = tmp_path / "table.csv.lmic"
    path.write_bytes(lmic.compress(TABLE.encode(), 1, block_size=4096))
    return path.as_uri()


@pytest.fixture(autouse=True)
def empty_memory():
    fsspec.filesystem("memory").store.clear()


def test_compression_is_inferred(url):
    with fsspec.open(url, "rt", compression="infer", newline="") as file:
        assert file.read() == TABLE
    with fsspec.open(url, "rb") as file:  # fsspec infers only where it is asked to
        assert lmic.decompress(file.read()).decode() == TABLE


@pytest.mark.parametrize(("name", "level"), [("lmic", lmic.DEFAULT_LEVEL), ("lmic-1", 1), ("lmic-5", 5)])
def test_names_write_with_their_level(name, level):
    with fsspec.open("memory://a.lmic", "wb", compression=name) as file:
        file.write(TABLE.encode())
    assert fsspec.filesystem("memory").cat("a.lmic") == lmic.compress(TABLE.encode(), level)


def test_caches_and_tar_archives_in_chains(url, tmp_path):
    with fsspec.open(f"simplecache::{url}", "rt", compression="infer", newline="") as file:
        assert file.read() == TABLE
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        member = tarfile.TarInfo("dir/table.csv")
        member.size = len(TABLE)
        tar.addfile(member, io.BytesIO(TABLE.encode()))
    archive = tmp_path / "x.tar.lmic"
    archive.write_bytes(lmic.compress(raw.getvalue(), 1))
    with fsspec.open(f"tar://dir/table.csv::{archive.as_uri()}", "rb") as file:
        assert file.read().decode() == TABLE


def test_reading_seeks(url):
    with fsspec.open(url, "rb", compression="infer") as file:
        file.seek(5000)
        assert file.read(100) == TABLE.encode()[5000:5100]
        file.seek(-10, 2)
        assert file.read() == TABLE.encode()[-10:]


# The file system.


def test_file_system_shows_content(url):
    with fsspec.open(f"lmic::{url}", "rt", newline="") as file:
        assert file.read() == TABLE
    fs, path = fsspec.url_to_fs(f"lmic::{url}")
    assert fs.size(path) == len(TABLE)
    assert fs.cat_file(path, 100, 200) == TABLE.encode()[100:200]
    assert fs.tail(path, 10) == TABLE.encode()[-10:]
    assert fs.ls(path.rsplit("/", 1)[0], detail=False) == [path]
    assert fs.ls(path.rsplit("/", 1)[0])[0]["size"] is None
    assert fs.exists(path) and fs.isfile(path) and not fs.isdir(path)


def test_file_system_writes_and_manages():
    fs = fsspec.filesystem("lmic", target_protocol="memory", level=1)
    fs.makedirs("/d/e")
    fs.pipe("/d/e/a.lmic", TABLE.encode())
    fs.pipe("/d/e/plain", b"as it is")
    assert fs.fs.cat("/d/e/a.lmic") == lmic.compress(TABLE.encode(), 1)
    assert fs.fs.cat("/d/e/plain") == fs.cat("/d/e/plain") == b"as it is"
    fs.cp("/d/e/a.lmic", "/d/b.lmic")
    fs.cp("/d/e/a.lmic", "/d/b.txt")
    assert fs.cat("/d/b.lmic") == fs.fs.cat("/d/b.txt") == TABLE.encode()
    assert sorted(fs.find("/d")) == ["/d/b.lmic", "/d/b.txt", "/d/e/a.lmic", "/d/e/plain"]
    assert fs.glob("/d/*.lmic") == ["/d/b.lmic"]
    fs.mv("/d/b.lmic", "/d/c.lmic")
    assert fs.cat("/d/c.lmic") == TABLE.encode() and not fs.exists("/d/b.lmic")
    fs.rm("/d", recursive=True)
    assert not fs.exists("/d")


def test_file_system_takes_the_options_of_open(models):
    model = models / "byte-200k.safetensors"
    fs = fsspec.filesystem("lmic", target_protocol="memory", model=str(model), threads=1, block_size="1K")
    fs.pipe("/a.lmic", TABLE.encode()[:2000])
    assert fs.fs.cat("/a.lmic") == lmic.compress(TABLE.encode()[:2000], model=model, block_size=1024)
    assert fs.cat("/a.lmic") == TABLE.encode()[:2000]
    with fs.open("/b.lmic", "wb", model=None, level=2) as file:
        file.write(TABLE.encode())
    assert fs.fs.cat("/b.lmic") == lmic.compress(TABLE.encode(), 2, block_size=1024)
    primed = lmic.prime(LINES.splitlines())
    fs = fsspec.filesystem("lmic", target_protocol="memory", primed=primed, records=True, level=5)
    fs.pipe("/c.lmic", LINES.encode())
    assert fs.fs.cat("/c.lmic") == lmic.compress(LINES.encode(), 5, primed=primed, records=True)
    assert fs.cat("/c.lmic", 6, 20) == LINES.encode()
    with pytest.raises(lmic.MemoryLimitError):
        fsspec.filesystem("lmic", target_protocol="memory", memory="1K").open("/b.lmic").read()


@pytest.mark.parametrize("options", [{"levle": 1}, {"level": 10}, {"content": "foo"}, {"model": "nope"}])
def test_file_system_refuses_other_options(options, url):
    with pytest.raises((TypeError, lmic.InvalidArgumentError)):
        fsspec.filesystem("lmic", target_protocol="memory", **options)
    fs = fsspec.filesystem("lmic", target_protocol="memory")
    with pytest.raises((TypeError, lmic.InvalidArgumentError)):
        fs.open("/a.lmic", "wb", **options)


def test_file_system_is_found_without_importing_lmic(url):
    program = f"import fsspec; print(len(fsspec.open('lmic::{url}').open().read()))"
    read = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert int(read.stdout) == len(TABLE)


# What others make of it.


def test_pandas(url):
    pandas = pytest.importorskip("pandas")
    expected = pandas.read_csv(io.StringIO(TABLE))
    # pandas infers no compression but its own; its storage options go to fsspec, but for local files, which it opens itself.
    pandas.testing.assert_frame_equal(pandas.read_csv(f"lmic::{url}"), expected)
    pandas.testing.assert_frame_equal(pandas.read_csv(f"lmic::{url}", usecols=["n"], nrows=5), expected[["n"]][:5])
    local = url.replace("table.csv", "t.csv")
    expected.to_csv(f"lmic::{local}", index=False, storage_options={"level": 1})
    with fsspec.open(local) as file:
        assert file.read() == lmic.compress(TABLE.encode(), 1)
    expected.to_csv("memory://t.csv.lmic", index=False, storage_options={"compression": "lmic-1"})
    assert lmic.decompress(fsspec.filesystem("memory").cat("t.csv.lmic")).decode() == TABLE
    found = pandas.read_csv("memory://t.csv.lmic", storage_options={"compression": "infer"})
    pandas.testing.assert_frame_equal(found, expected)
    expected.to_json("memory://t.jsonl.lmic", orient="records", lines=True, storage_options={"compression": "lmic-1"})
    found = pandas.read_json("memory://t.jsonl.lmic", lines=True, storage_options={"compression": "infer"})
    pandas.testing.assert_frame_equal(found, expected)


def test_pyarrow_datasets(url, tmp_path):
    dataset = pytest.importorskip("pyarrow.dataset")
    parquet = pytest.importorskip("pyarrow.parquet")
    fs, path = fsspec.url_to_fs(f"lmic::{url}")
    table = dataset.dataset(path, filesystem=fs, format="csv").to_table()
    assert table.num_rows == 2000 and sum(table["square"].to_pylist()) == sum(n * n for n in range(2000))
    # A folder of Parquet files, written and read through lmic; pages are left as they are, for lmic to code.
    folder = str(tmp_path / "parquet")
    lmic_files = fsspec.filesystem("lmic", target_protocol="file", level=1)
    dataset.write_dataset(
        table,
        folder,
        filesystem=lmic_files,
        format="parquet",
        basename_template="part-{i}.parquet.lmic",
        max_rows_per_file=700,
        max_rows_per_group=700,
        file_options=dataset.ParquetFileFormat().make_write_options(compression=None),
    )
    read = dataset.dataset(folder, filesystem=lmic_files, format="parquet")
    assert len(read.files) == 3
    assert sorted(read.to_table(filter=dataset.field("n") < 100)["n"].to_pylist()) == list(range(100))
    part = parquet.read_table(lmic_files.open(f"{folder}/part-0.parquet.lmic"), columns=["square"])
    assert part.column_names == ["square"]


def test_dask(url, tmp_path):
    bag = pytest.importorskip("dask.bag")
    frame = pytest.importorskip("dask.dataframe")
    whole = frame.read_csv(url, compression="infer", blocksize=None)
    assert whole.square.sum().compute(scheduler="sync") == sum(n * n for n in range(2000))
    # The file system knows the content's size, so that one file is read in parts.
    parts = frame.read_csv(f"lmic::{url}", compression=None, blocksize=4096)
    assert parts.npartitions > 3
    assert parts.square.sum().compute(scheduler="threads") == sum(n * n for n in range(2000))
    # Other processes learn of the compression by what they are sent.
    lines = bag.read_text(url, compression="infer")
    assert lines.count().compute(scheduler="processes", num_workers=1) == 2001
    lines.to_textfiles(str(tmp_path / "out-*.csv.lmic"), compression="lmic-1")
    assert lmic.decompress((tmp_path / "out-0.csv.lmic").read_bytes()).decode().startswith("n,square")
