"""`lmic.lm_eval` in a task of the harness that needs no network."""

import json
import math
import subprocess
import sys

import pytest

lm_eval = pytest.importorskip("lm_eval")

import lmic  # noqa: E402
import lmic.lm_eval  # noqa: E402
from lm_eval.tasks import TaskManager  # noqa: E402

TEXTS = ["To be, or not to be, that is the question.\n" * 5, "été, naïve, 東京", "a"]


@pytest.fixture
def tasks(tmp_path):
    """A folder with two tasks over local files."""
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS))
    (tmp_path / "texts.yaml").write_text(
        f"""
task: lmic_texts
dataset_path: json
dataset_kwargs: {{data_files: {{test: {tmp_path}/texts.jsonl}}}}
output_type: loglikelihood_rolling
test_split: test
doc_to_text: ""
doc_to_target: "{{{{text}}}}"
metric_list:
  - metric: byte_perplexity
  - metric: bits_per_byte
"""
    )
    rows = [{"start": "ab" * 40, "ends": ["ab" * 4, "xq" * 4], "label": 0}]
    (tmp_path / "choices.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "choices.yaml").write_text(
        f"""
task: lmic_choices
dataset_path: json
dataset_kwargs: {{data_files: {{test: {tmp_path}/choices.jsonl}}}}
output_type: multiple_choice
test_split: test
doc_to_text: "{{{{start}}}}"
doc_to_choice: ends
doc_to_target: label
target_delimiter: ""
metric_list:
  - metric: acc
"""
    )
    return tmp_path


def evaluate(tasks, name, **options):
    manager = TaskManager(include_path=str(tasks), include_defaults=False)
    return lm_eval.simple_evaluate("lmic", options, tasks=[name], task_manager=manager, bootstrap_iters=0)["results"][name]


def test_bits_per_byte_are_those_of_lmic(tasks):
    found = evaluate(tasks, "lmic_texts", level=3)
    sizes = [len(text.encode()) for text in TEXTS]
    bits = sum(lmic.score(text.encode(), level=3) * size for text, size in zip(TEXTS, sizes))
    assert found["bits_per_byte,none"] == pytest.approx(bits / sum(sizes))
    assert found["byte_perplexity,none"] == pytest.approx(2 ** (bits / sum(sizes)))
    assert found["bits_per_byte,none"] < 4  # the first text repeats itself


def test_the_likelier_choice_is_chosen(tasks):
    assert evaluate(tasks, "lmic_choices", level=2)["acc,none"] == 1


def test_continuations_and_what_is_greedy():
    class Request:
        def __init__(self, *args):
            self.args = args

    lm = lmic.lm_eval.LmicLM(level=2, threads=2)
    whole, start = "abcabcabcabc" * 10, "abcabcabcabc" * 9
    rest = whole[len(start) :]
    (likely, greedy), (unlikely, other) = lm.loglikelihood([Request(start, rest), Request(start, "zzzz")], disable_tqdm=True)
    assert greedy and not other and unlikely < likely < 0
    # Start and rest make the whole.
    parts = lm.loglikelihood_rolling([Request(start), Request(whole)], disable_tqdm=True)
    assert parts[1] - parts[0] == pytest.approx(likely, abs=1e-6)
    assert lm.loglikelihood_rolling([Request("")], disable_tqdm=True) == [0]
    # What greedy generation gives is greedy, however unlikely.
    made = lmic.generate(b"x7", 6, greedy=True, level=2).decode("latin-1")
    if made.isascii():
        assert lm.loglikelihood([Request("x7", made)], disable_tqdm=True)[0][1]
    assert math.isfinite(unlikely)


def test_generation_stops():
    class Request:
        args = ("one two. one two. one two. one two. one", {"until": ["."], "max_gen_toks": 12})

    assert lmic.lm_eval.LmicLM(level=2).generate_until([Request()], disable_tqdm=True) == [" two"]


def test_the_command_line_of_the_harness(tasks):
    run = subprocess.run(
        [sys.executable, "-m", "lmic.lm_eval", "run", "--model", "lmic", "--model_args", "level=2", "--tasks", "lmic_texts"]
        + ["--include_path", str(tasks)],
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert "bits_per_byte" in run.stdout
