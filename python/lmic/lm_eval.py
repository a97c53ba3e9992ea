"""The model `"lmic"` of EleutherAI's `lm_eval`: any level or model of lmic, in the tasks of the harness.

    import lm_eval, lmic.lm_eval
    results = lm_eval.simple_evaluate("lmic", "level=5", tasks=["wikitext"])
    results["results"]["wikitext"]["bits_per_byte,none"]

or at the shell, with the harness's own arguments: `python -m lmic.lm_eval run --model lmic --model_args level=5 --tasks wikitext`.

Costs are those of bytes, so `bits_per_byte` and `byte_perplexity` compare with any model's. They come from the probabilities that
a file would be coded with; nothing is coded, and a container's header and check are not counted. Each text is scored alone.
"""

from __future__ import annotations

import math
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from lm_eval.api.model import LM
from lm_eval.api.registry import register_model
from tqdm import tqdm

import lmic

__all__ = ["LmicLM"]

GENERATED = 256
"""Bytes that are generated unless a task says otherwise (`max_gen_toks`)."""


@register_model("lmic")
class LmicLM(LM):
    """A level, or a model, as a language model.

    Parameters
    ----------
    level
        1 to 9, as in `lmic.compress`.
    model
        A model instead: a path, a name of the model folder, or what `lmic.load_model` returns.
    threads
        Requests that are scored at the same time; 0 is one for each core.
    batch_size, max_batch_size, device
        The harness gives them to every model; they mean nothing here.
    """

    def __init__(
        self,
        level: int | None = None,
        model: Any = None,
        threads: int = 0,
        batch_size: Any = None,
        max_batch_size: Any = None,
        device: Any = None,
    ) -> None:
        super().__init__()
        self._model = lmic.load_model(model) if isinstance(model, str) else model
        self._options: dict[str, Any] = {"level": level, "threads": 1}
        if self._model is not None:
            self._options["model"] = self._model
        self._threads = threads or os.cpu_count() or 1

    def loglikelihood(self, requests: list[Any], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """The natural logarithm of each continuation's probability after its context, and whether always taking the most
        likely symbol would have given it."""
        return self._each("loglikelihood", self._continuation, requests, disable_tqdm)

    def loglikelihood_rolling(self, requests: list[Any], disable_tqdm: bool = False) -> list[float]:
        """The natural logarithm of each text's probability."""
        return self._each("loglikelihood_rolling", self._text, requests, disable_tqdm)

    def generate_until(self, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
        """What each context is followed by, up to one of its `until`; `max_gen_toks` counts bytes."""
        return self._each("generate_until", self._generated, requests, disable_tqdm)

    def _each(self, kind: str, work: Any, requests: list[Any], disable_tqdm: bool) -> list[Any]:
        results = []
        with ThreadPoolExecutor(self._threads) as threads:
            found = threads.map(lambda request: work(*request.args), requests)
            for request, result in zip(requests, tqdm(found, total=len(requests), disable=disable_tqdm), strict=True):
                self.cache_hook.add_partial(kind, request.args, result)
                results.append(result)
        return results

    def _text(self, text: str) -> float:
        data = text.encode()
        return -lmic.score(data, **self._options) * len(data) * math.log(2)

    def _continuation(self, context: str, continuation: str) -> tuple[float, bool]:
        before, data = context.encode(), continuation.encode()
        costs = lmic.byte_costs(before + data, **self._options)[len(before) :]
        bits = float(costs.sum())
        if bits < 1:  # each symbol has more than half of the probability
            greedy = True
        elif self._model is None and costs.max() > 8:  # some other of 256 bytes has more
            greedy = False
        else:
            greedy = lmic.generate(before, len(data), greedy=True, **self._options) == data
        return -bits * math.log(2), greedy

    def _generated(self, context: str, options: dict[str, Any]) -> str:
        sampling = {"temperature": options.get("temperature", 1.0)} if options.get("do_sample") else {"greedy": True}
        length = int(options.get("max_gen_toks", GENERATED))
        text = lmic.generate(context.encode(), length, **sampling, **self._options).decode(errors="replace")
        until = options.get("until") or []
        for stop in [until] if isinstance(until, str) else until:
            text = text.split(stop)[0] if stop else text
        return text


if __name__ == "__main__":
    from lm_eval.__main__ import cli_evaluate

    cli_evaluate()
