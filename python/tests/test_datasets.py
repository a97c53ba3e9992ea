"""Hugging Face `datasets`: texts are scored and filtered by bits per byte, on several processes."""

import functools

import pytest

datasets = pytest.importorskip("datasets")

import lmic  # noqa: E402

PROSE = "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness."
TEXTS = [PROSE, "spam " * 30, "x9$kQ!7zP@w3#Lm&5^vB", ""] * 10


@pytest.fixture
def dataset():
    return datasets.Dataset.from_dict({"text": TEXTS})


def bits_per_byte(batch, **options):
    return {"bits_per_byte": lmic.score_batch(batch["text"], threads=1, **options)}


@pytest.mark.parametrize("processes", [None, 2])
def test_map_and_filter(dataset, processes):
    scored = dataset.map(functools.partial(bits_per_byte, level=3), batched=True, batch_size=7, num_proc=processes)
    assert scored["bits_per_byte"][:] == [lmic.score(text, level=3) for text in TEXTS]
    kept = scored.filter(lambda row: 1 < row["bits_per_byte"] < 6, num_proc=processes)
    assert set(kept["text"]) == {PROSE}


def test_one_text_at_a_time(dataset):
    kept = dataset.filter(lambda row: lmic.score(row["text"], level=1) < 1)
    assert set(kept["text"]) == {"spam " * 30, ""}


def test_lines_of_an_archive(tmp_path):
    """`datasets` opens local files by itself; a generator reads any other."""
    path = tmp_path / "texts.txt.lmic"
    with lmic.open(path, "wt", level=1, encoding="utf-8") as file:
        file.writelines(text + "\n" for text in TEXTS)

    def rows(path):
        with lmic.open(path, "rt", encoding="utf-8") as file:
            for line in file:
                yield {"text": line.rstrip("\n")}

    found = datasets.Dataset.from_generator(rows, gen_kwargs={"path": str(path)}, cache_dir=str(tmp_path / "cache"))
    assert found["text"][:] == TEXTS
