"""A recipe's clips encoded before it trains, by shards: one by each job of a cluster, or all by processes here.

Nothing is merged: each shard is a file of its own, and training reads them as one.
"""

from __future__ import annotations

import logging
import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import Any

from motionllm.config import Recipe, Source
from motionllm.data import shards, sources
from motionllm.data.clips import Clips, Work, within
from motionllm.data.prepare import motion_tokenizer_of
from motionllm.data.shards import Shard
from motionllm.errors import MotionLLMError
from motionllm.files import holder, lock
from motionllm.tokenizer import MotionTokenizer

log = logging.getLogger(__name__)

TRIES = 3  # pools of processes of which one may be killed

Progress = Callable[..., None]


class Encoding:
    """The splits of a recipe's sources that are there, and the shards that each is dealt to.

    of: how many these are to be; None: as they were dealt to last, or as many as their size asks for.
    """

    def __init__(self, recipe: Recipe, run: Path, of: int | None = None) -> None:
        self.recipe, self.run = recipe, run
        tokenizer = motion_tokenizer_of(recipe, run, fit=False)
        self.works: list[tuple[Work, int]] = []
        for source in recipe.data.sources:
            for split in ("train", "val"):
                if split == "train" or sources.has_split(source, split):
                    listing = sources.listing(source, split)
                    dealt = shards.count(*listing) if of is None else shards.deal(*listing, of)
                    self.works.append((_work(recipe, source, split, tokenizer), dealt))

    def one(self, number: int, progress: Progress | None = None) -> list[dict[str, Any]]:
        """Encode shard `number` of every split that has so many, where it is not there already; {"source", "split",
        "shard", "shards", "clips"} of each.

        Raises MotionLLMError where another process is at it.
        """
        own = [(work, Shard(number, of)) for work, of in self.works if number <= of]
        rows = []
        for done, (work, shard) in enumerate(own):
            file = _encode(work, shard, progress and partial(within, progress, done, len(own)))
            rows.append({**_named(work), "shard": number, "shards": shard.of, "clips": len(Clips([file]))})
        return rows

    def all(self, workers: int = 1, progress: Progress | None = None) -> None:
        """Encode the shards that are not there, or damaged, by this many processes. Raises MotionLLMError where one of
        these fails, or is killed time and again; what was encoded until then is kept.
        """
        todo = self.missing()
        if workers == 1 or len(todo) == 1:
            for done, (place, number) in enumerate(todo):
                work, of = self.works[place]
                _encode(work, Shard(number, of), progress and partial(within, progress, done, len(todo)))
            return
        for _ in range(TRIES):
            if not (left := self.missing()):
                return
            try:
                self._by_processes(left, workers, len(todo), progress)
            except BrokenProcessPool:
                log.warning("A process that encodes was killed; the shards that it leaves are encoded by others.")
        if left := self.missing():
            raise MotionLLMError(
                f"Processes that encode were killed {TRIES} times, for want of memory perhaps, and {len(left)} shards "
                "are not encoded; give the same command again, with fewer --workers or more --shards."
            )

    def _by_processes(self, left: list[tuple[int, int]], workers: int, of: int, progress: Progress | None) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would inherit torch's threads and locks
        with ProcessPoolExecutor(min(workers, len(left)), context) as pool:
            try:
                tasks = [
                    pool.submit(
                        _job, self.recipe.model_dump_json(), self.run, place, Shard(number, self.works[place][1])
                    )
                    for place, number in left
                ]
                for done, task in enumerate(as_completed(tasks), of - len(left) + 1):
                    task.result()
                    if progress:
                        progress(done / of, shards=done)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    @cached_property
    def files(self) -> list[list[Path]]:
        """The files of the shards of each split."""
        return [work.files(of)[0] for work, of in self.works]

    def missing(self) -> list[tuple[int, int]]:
        """(place in `works`, number) of each shard that is not encoded, or damaged: their files are read."""
        return [
            (place, number)
            for place, files in enumerate(self.files)
            for number, file in enumerate(files, 1)
            if not shards.is_whole(file, read=True)
        ]

    def check(self) -> None:
        """Raise MotionLLMError, naming them, where shards are missing or damaged."""
        left = self.missing()
        for place, (work, of) in enumerate(self.works):
            if numbers := [number for at, number in left if at == place]:
                raise MotionLLMError(
                    f"{shards.lacking(work.source, work.split, self.files[place], numbers)}; `motionllm data encode "
                    f"RECIPE --shard {numbers[0]}/{of}` encodes one of them, and without --shard all of them."
                )

    def report(self) -> list[dict[str, Any]]:
        """{"source", "split", "shards", "clips"} of each split, all of whose shards are there."""
        return [
            {**_named(work), "shards": of, "clips": len(Clips(files))}
            for (work, of), files in zip(self.works, self.files, strict=True)
        ]


def _named(work: Work) -> dict[str, Any]:
    return {"source": work.source.path or work.source.kind, "split": work.split}


def _work(recipe: Recipe, source: Source, split: str, tokenizer: MotionTokenizer) -> Work:
    return Work(source, split, tokenizer, list(recipe.data.tasks), recipe.data.notation is not None)


def _encode(work: Work, shard: Shard, progress: Progress | None) -> Path:
    """Encode a shard where it is not there; its file."""
    file = work.file(shard)
    if held := holder(file):
        raise MotionLLMError(
            f"Shard {shard} of {work.source.path or work.source.kind} is being encoded by process {held[0]} on "
            f"{held[1]}; wait for it, or encode another."
        )
    with lock(file):
        if not shards.is_whole(file, read=True):
            work.encode(shard, progress)
    return file


def _job(recipe: str, run: Path, place: int, shard: Shard) -> None:
    """What a process of `Encoding.all` does: the shard of the split at this place."""
    import torch

    torch.set_num_threads(1)  # there are other processes
    _encode(_opened(recipe, run).works[place][0], shard, None)


@lru_cache(1)
def _opened(recipe: str, run: Path) -> Encoding:
    """What a process encodes: the tokenizer is loaded and the sets are listed once, and not for each of its shards."""
    return Encoding(Recipe.model_validate_json(recipe), run)
