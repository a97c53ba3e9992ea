"""The codecs of numcodecs and Zarr."""

import json
import pickle
import subprocess
import sys
import threading

import pytest

numpy = pytest.importorskip("numpy")
numcodecs = pytest.importorskip("numcodecs")
zarr = pytest.importorskip("zarr")

import lmic  # noqa: E402
from lmic.numcodecs import Lmic  # noqa: E402
from lmic.zarr import LmicCodec  # noqa: E402

READ = """
import sys, zarr
assert "lmic" not in sys.modules   # nothing but the array's metadata says what it is coded with
array = zarr.open_array(sys.argv[1], mode="r")
print(array[30:33, 40:42].tolist(), int(array[:].sum()))
"""


def numbers():
    """100 x 100 smooth numbers of 16 bits."""
    y, x = numpy.mgrid[:100, :100]
    return (1000 + 500 * numpy.sin(x / 9) * numpy.cos(y / 7)).astype("i2")


def create(path, **options):
    array = zarr.create_array(path, shape=(100, 100), dtype="i2", **options)
    array[:] = numbers()
    return array


KINDS = {
    "chunks": {"chunks": (32, 32), "compressors": LmicCodec(level=2)},
    "shards": {"chunks": (16, 16), "shards": (64, 64), "compressors": LmicCodec(level=2)},
    "by name": {"chunks": (50, 50), "compressors": {"name": "lmic", "configuration": {"level": 2}}},
    "samples": {"chunks": (50, 50), "compressors": LmicCodec(level=5, content="samples")},
    "transposed": {
        "chunks": (20, 50),
        "compressors": LmicCodec(content="samples"),
        "filters": zarr.codecs.TransposeCodec(order=(1, 0)),
    },
    "format 2": {"chunks": (50, 50), "compressors": Lmic(level=2), "zarr_format": 2},
}


@pytest.mark.parametrize("kind", KINDS)
def test_another_process_reads_what_was_written(kind, tmp_path):
    create(tmp_path / "x.zarr", **KINDS[kind])
    read = subprocess.run(
        [sys.executable, "-c", READ, tmp_path / "x.zarr"], capture_output=True, text=True, check=True
    )
    assert read.stdout.strip() == f"{numbers()[30:33, 40:42].tolist()} {int(numbers().sum())}"


def test_chunks_are_archives_and_parts_are_written(tmp_path):
    array = create(tmp_path / "x.zarr", chunks=(50, 100), compressors=LmicCodec(level=3))
    chunk = (tmp_path / "x.zarr" / "c" / "1" / "0").read_bytes()
    assert lmic.decompress(chunk) == numbers()[50:].tobytes()
    array[10:12, 20:30] = 7
    expected = numbers()
    expected[10:12, 20:30] = 7
    assert (array[:] == expected).all()


def test_metadata_say_what_the_codec_was(tmp_path):
    create(tmp_path / "x.zarr", chunks=(50, 50), compressors=LmicCodec(level=3, content="samples"))
    metadata = json.loads((tmp_path / "x.zarr" / "zarr.json").read_text())
    assert metadata["codecs"][-1] == {"name": "lmic", "configuration": {"level": 3, "content": "samples"}}
    assert zarr.open_array(tmp_path / "x.zarr").compressors == (LmicCodec(level=3, content="samples"),)
    assert numcodecs.get_codec(Lmic(level=4).get_config()) == Lmic(level=4)
    assert Lmic(4).get_config() == {"id": "lmic", "level": 4}


def test_samples_are_smaller_than_bytes():
    """The shape of a chunk says where its rows end."""
    y, x = numpy.mgrid[:128, :128]
    image = (128 + 90 * numpy.sin(x / 31) * numpy.cos(y / 23) + numpy.random.default_rng(1).normal(0, 3, x.shape)).astype("u1")
    sizes = {}
    for content in [None, "samples"]:
        array = zarr.create_array(
            zarr.storage.MemoryStore(), data=image, chunks=image.shape, compressors=LmicCodec(level=5, content=content)
        )
        assert (array[:] == image).all()
        sizes[content] = array.nbytes_stored()
    assert sizes["samples"] < 0.9 * sizes[None]


@pytest.mark.parametrize(
    ("shape", "dtype", "content"),
    [
        ((64, 48), "u1", "gray:48"),
        ((64, 48, 3), "u1", "rgb:48"),
        ((5, 64, 48), "u1", "gray:48"),
        ((100,), "u1", None),
        ((100,), "<i2", "pcm16:1"),
        ((100, 2), "<i2", "pcm16:2"),
        ((100, 9), "<u2", "pcm16:1"),
        ((100, 2), "<f2", None),
        ((100, 2), "<i4", None),
        ((), "u1", None),
    ],
)
def test_content_of_samples(shape, dtype, content):
    from lmic._chunks import content_of_samples

    assert content_of_samples(shape, numpy.dtype(dtype)) == content


@pytest.mark.parametrize("dtype", ["u1", "i8", "f4", "c8", "M8[s]", "?"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_numcodecs_arrays_of_any_kind(dtype, order):
    data = numpy.asarray(numpy.arange(600).reshape(20, 30), order=order).astype(dtype)
    codec = numcodecs.get_codec({"id": "lmic", "level": 1})
    out = numpy.empty_like(data)
    assert codec.decode(codec.encode(data), out=out) is out
    assert (out == data).all()
    assert bytes(codec.decode(codec.encode(b""))) == b""


def test_errors_come_out(tmp_path):
    for codec in (Lmic, LmicCodec):
        for level in (0, lmic.MAX_LEVEL + 1):
            with pytest.raises(ValueError, match="level"):
                codec(level=level)
        with pytest.raises(ValueError, match='"foo" is no kind'):
            codec(content="foo")
    with pytest.raises(ValueError, match="samples"):
        numcodecs.get_codec({"id": "lmic", "content": "samples"})
    create(tmp_path / "x.zarr", chunks=(100, 100), compressors=LmicCodec(level=1))
    path = tmp_path / "x.zarr" / "c" / "0" / "0"
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(lmic.LmicError):
        zarr.open_array(tmp_path / "x.zarr")[:]


def test_codecs_are_pickled_and_compared():
    for codec in [Lmic(3), LmicCodec(level=3, content="gray:4")]:
        assert pickle.loads(pickle.dumps(codec)) == codec
    assert LmicCodec(level=3) != LmicCodec(level=4)
    assert hash(LmicCodec(level=3)) == hash(LmicCodec(level=3))


def test_threads_code_at_the_same_time():
    """While one thread codes, others run: a counter moves on during each of many chunks."""
    codec = Lmic(5)
    chunk = numpy.random.default_rng(1).integers(0, 99, 200_000).astype("u1")
    done = threading.Event()
    thread = threading.Thread(target=lambda: (codec.encode(chunk), done.set()))
    thread.start()
    count = 0
    while not done.wait(0.001):
        count += 1
    thread.join()
    assert count > 10  # some 300 ms of work


def test_another_network_has_its_identity_in_the_metadata(tmp_path, monkeypatch):
    absent = {"name": "lmic", "configuration": {"level": 7, "model": "absent", "identity": "00" * 32}}
    monkeypatch.setenv("LMIC_MODELS", str(tmp_path / "models"))
    array = zarr.create_array(tmp_path / "x.zarr", shape=(4,), dtype="i2", compressors=absent)
    assert zarr.open_array(tmp_path / "x.zarr").shape == (4,)
    with pytest.raises(lmic.WrongModelError, match="absent of identity 0000"):
        array[:] = 1


def test_a_network_is_given_by_its_name(tmp_path, monkeypatch, models):
    monkeypatch.chdir(models)
    for model in (str(models / "byte-200k.safetensors"), "./byte-200k.safetensors", "byte-200k.safetensors"):
        with pytest.raises(lmic.InvalidArgumentError, match="name"):
            LmicCodec(model=model)
    with pytest.raises(lmic.InvalidArgumentError, match="^nope: no such model"):
        LmicCodec(model="nope")


def test_chunks_are_coded_with_another_network(tmp_path, monkeypatch, models):
    monkeypatch.setenv("LMIC_MODELS", str(models))
    codec = LmicCodec(level=7, model="byte-200k")
    text = numpy.frombuffer(b"to be, or not to be, that is the question. " * 4, "u1")
    array = zarr.create_array(tmp_path / "x.zarr", data=text, chunks=text.shape, compressors=codec)
    assert (array[:] == text).all()
    chunk = (tmp_path / "x.zarr" / "c" / "0").read_bytes()
    assert chunk == lmic.compress(text, 7, model=lmic.load_model("byte-200k"))
    configuration = json.loads((tmp_path / "x.zarr" / "zarr.json").read_text())["codecs"][-1]["configuration"]
    assert configuration["identity"] == lmic.load_model("byte-200k").identity
    # Another network of the same name is not taken for it.
    monkeypatch.setenv("LMIC_MODELS", str(tmp_path / "models"))
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "byte-200k.safetensors").write_bytes((models / "byte-800k.safetensors").read_bytes())
    with pytest.raises(lmic.WrongModelError, match="of that name"):
        zarr.open_array(tmp_path / "x.zarr")[:]
    monkeypatch.delenv("LMIC_MODELS")


def test_a_chunk_of_another_array_does_not_take_all_memory(tmp_path):
    create(tmp_path / "array", chunks=(100, 100), compressors=LmicCodec(level=1))
    (chunk,) = [path for path in (tmp_path / "array" / "c").rglob("*") if path.is_file()]
    chunk.write_bytes(lmic.compress(bytes(8 << 20), 1))
    with pytest.raises(lmic.MemoryLimitError):
        zarr.open_array(tmp_path / "array", mode="r")[:]
    with pytest.raises(lmic.MemoryLimitError):
        Lmic(level=1).decode(lmic.compress(bytes(1000), 1), out=bytearray(999))
