"""BM25 as Lucene scores it, from a memory-mapped index that is built with little memory, or from one in memory.

WebShop searches with Lucene 8 (pyserini 0.17) at k1 0.9 and b 0.4, and so does most work on retrieval that uses
pyserini. The score of a document is a sum over the terms of the query, a term that is said twice counting twice:

    idf · tf / (tf + k1 · (1 - b + b · dl / avgdl)),   idf = ln(1 + (N - df + 0.5) / (df + 0.5))

dl is the length of the document in terms, of which Lucene keeps one byte (exact to 39, then four binary digits
of what exceeds 24). It computes a term's share in single precision and adds in double precision. Documents of
equal score come in an order that is given: Anserini, between pyserini and Lucene, breaks ties by their ids.

The arrays on disk are those of a bm25s index (one column of scores per term). bm25s adds them up; what it lacks is
here: Lucene's lengths, a build that never holds the collection, and a choice of the best, exact to the last tie.
"""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from agent_gym.errors import MissingExtraError
from agent_gym.search import analysis

if TYPE_CHECKING:
    from bm25s import BM25

RULES = 1
"""Raised whenever the same texts would be scored differently, so that an index of older rules is built anew."""
K1, B = 0.9, 0.4
MOST_TERMS = 1024
"""Terms of a query that count. Lucene refuses a longer query; here what follows is not looked for."""

Progress: TypeAlias = Callable[[str, int, int | None], None]
"""Called during a long build with what is being done, how much of it is done, and how much there is, if known."""

_CHUNK = 1 << 22  # terms held in memory while building: 16 MiB of ids, some 200 MiB while they are sorted
_KEPT = 1 << 16  # terms whose columns a process remembers
_BLOCK = 512  # scores of which the best is looked at first
_ARRAYS = {"data": "data.csc.index.npy", "indices": "indices.csc.index.npy", "indptr": "indptr.csc.index.npy"}
FILES = (*_ARRAYS.values(), "terms.npy")


def term_hash(term: str) -> int:
    """Return the 64 bits by which a term is found: any two of a million terms share theirs once in 37 million times."""
    return int.from_bytes(blake2b(term.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def lucene_length(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return lengths as they come back from the one byte that Lucene stores them in (`SmallFloat.intToByte4`)."""
    rest = np.maximum(lengths - 24, 0)
    shift = np.maximum(np.frexp(rest.astype(np.float64))[1] - 4, 0)  # frexp's exponent = number of binary digits
    return np.where(lengths < 24, lengths, 24 + (rest >> shift << shift))


class IndexBuilder:
    """Takes the terms of one document after the other, then writes the index.

    Terms are collected in chunks; each is sorted by term and set aside on disk. In the end every chunk is scored and
    spread over the columns. At no time is more than a chunk in memory, besides the words and the lengths.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._ids: defaultdict[str, int] = defaultdict()
        self._ids.default_factory = self._ids.__len__
        self._lengths = array("i")
        self._tokens = array("i")
        self._chunk_start = 0
        self._chunks: list[Path] = []

    def add(self, terms: Iterable[str]) -> None:
        """Add the next document."""
        ids, tokens = self._ids, self._tokens
        before = len(tokens)
        tokens.extend([ids[term] for term in terms])
        self._lengths.append(len(tokens) - before)
        if len(tokens) >= _CHUNK:
            self._set_aside()

    def finish(self, progress: Progress | None = None) -> None:
        """Write the arrays."""
        self._set_aside()
        vocabulary = len(self._ids)
        hashes = np.fromiter(map(term_hash, self._ids), np.uint64, vocabulary)
        self._ids.clear()
        order = np.argsort(hashes)
        hashes = hashes[order]
        assert not (hashes[1:] == hashes[:-1]).any(), "two terms with one hash"
        np.save(self._directory / "terms.npy", hashes)
        column = np.empty(vocabulary, np.int64)
        column[order] = np.arange(vocabulary)

        frequencies = np.zeros(vocabulary, np.int64)
        for chunk in self._chunks:
            frequencies += np.bincount(column[np.load(chunk)["term"]], minlength=vocabulary)
        indptr = np.zeros(vocabulary + 1, np.int64)
        np.cumsum(frequencies, out=indptr[1:])
        np.save(self._directory / _ARRAYS["indptr"], indptr)

        lengths = np.asarray(self._lengths, np.int64)
        inverse_norms, weights = _inverse_norms(lengths), _idf(frequencies, int((lengths > 0).sum()))
        shape = (int(indptr[-1]),)
        data = np.lib.format.open_memmap(self._directory / _ARRAYS["data"], "w+", np.float32, shape)
        indices = np.lib.format.open_memmap(self._directory / _ARRAYS["indices"], "w+", np.int32, shape)
        heads = indptr[:-1].copy()
        for done, path in enumerate(self._chunks):
            if progress is not None:
                progress("indexing", done, len(self._chunks))
            chunk = np.load(path)
            terms = column[chunk["term"]]
            starts = np.flatnonzero(np.diff(terms, prepend=-1))  # equal terms lie side by side in a chunk
            runs = np.diff(starts, append=len(terms))
            at = np.arange(len(terms)) + np.repeat(heads[terms[starts]] - starts, runs)
            heads[terms[starts]] += runs
            weight = weights[terms]
            data[at] = weight - weight / (np.float32(1) + chunk["count"] * inverse_norms[chunk["document"]])
            indices[at] = chunk["document"]
            path.unlink()
        data.flush()
        indices.flush()

    def _set_aside(self) -> None:
        documents = len(self._lengths) - self._chunk_start
        owner = np.repeat(np.arange(documents), self._lengths[self._chunk_start :])
        keys, counts = np.unique(np.asarray(self._tokens, np.int64) << 32 | owner, return_counts=True)
        chunk = np.empty(len(keys), [("term", np.int32), ("document", np.int32), ("count", np.float32)])
        chunk["term"] = keys >> 32
        chunk["document"] = (keys & 0xFFFFFFFF) + self._chunk_start
        chunk["count"] = counts
        self._chunks.append(self._directory / f"chunk-{len(self._chunks)}.npy")
        np.save(self._chunks[-1], chunk)
        self._tokens = array("i")
        self._chunk_start = len(self._lengths)


def _inverse_norms(lengths: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return 1 / (k1 · (1 - b + b · dl / avgdl)) by document, rounded where Lucene rounds."""
    one, k1, b = np.float32(1), np.float32(K1), np.float32(B)
    average = np.float32(lengths.sum() / max(1, int((lengths > 0).sum())))
    if not average:
        return np.zeros(len(lengths), np.float32)
    norms: NDArray[np.float32] = one / (k1 * ((one - b) + b * lucene_length(lengths).astype(np.float32) / average))
    return norms


def _idf(frequencies: NDArray[np.int64], documents: int) -> NDArray[np.float32]:
    idf: NDArray[np.float32] = np.log(1 + (documents - frequencies + 0.5) / (frequencies + 0.5)).astype(np.float32)
    return idf


class Index:
    """An index that was built."""

    def __init__(self, directory: Path, ranks: NDArray[np.int32], *, mapped: bool = True) -> None:
        """Open an index.

        Args:
            directory: Where `IndexBuilder` wrote it.
            ranks: Place of each document in the order by which equal scores are ordered.
            mapped: Read its files in place, so that processes share their pages; else into memory, once.

        Raises:
            MissingExtraError: Without bm25s.
        """
        self._terms: NDArray[np.uint64] = np.asarray(
            np.load(directory / "terms.npy", mmap_mode="r" if mapped else None)
        )
        self._column = lru_cache(maxsize=_KEPT)(self._find)
        self._ranks = ranks
        self._bm25 = _open_bm25(directory, len(ranks), mapped=mapped)
        scores: dict[str, Any] = self._bm25.scores
        for name in _ARRAYS:
            scores[name] = np.asarray(scores[name])  # a plain array over the same pages: slicing costs a tenth
        self._data, self._indices, self._indptr = (scores[name] for name in _ARRAYS)

    def search(self, query: str, limit: int) -> tuple[int, ...]:
        """Return the positions of the documents with the highest scores above 0, at most `limit`, best first."""
        columns, counts = self._columns(analysis.terms(query))
        if not len(columns):
            return ()
        scores = self._scores(columns, counts)
        near = _at_least_best(scores, limit)
        exact = self._exact(near, columns, counts)
        best = np.lexsort((self._ranks[near], -exact))[:limit]
        return tuple(near[best].tolist())

    def _columns(self, terms: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the columns of those terms that any document has, and how often the query says each."""
        said = Counter(terms[:MOST_TERMS])
        known = {column: count for term, count in said.items() if (column := self._column(term)) >= 0}
        return np.array(list(known), np.int64), np.array(list(known.values()), np.int64)

    def _find(self, term: str) -> int:
        """Return the column of a term, or -1."""
        wanted = np.uint64(term_hash(term))
        at = int(self._terms.searchsorted(wanted))
        return at if at < len(self._terms) and self._terms[at] == wanted else -1

    def _scores(self, columns: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the scores of all documents in single precision: one pass per binary digit of the highest count."""
        scores = np.asarray(self._bm25.get_scores_from_ids(columns[counts & 1 > 0]), np.float32)
        for digit in range(1, int(counts.max()).bit_length()):
            scores += self._bm25.get_scores_from_ids(columns[counts >> digit & 1 > 0]) * np.float32(1 << digit)
        return scores

    def _exact(
        self, documents: NDArray[np.int64], columns: NDArray[np.int64], counts: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Return the scores of some documents (in ascending order) as Lucene adds them up."""
        total = np.zeros(len(documents))
        for column, count in zip(columns.tolist(), counts.tolist(), strict=True):
            start, end = self._indptr[column : column + 2].tolist()
            indices = self._indices[start:end]
            at = indices.searchsorted(documents)
            has_term = indices.take(at, mode="clip") == documents
            shares = self._data[start:end].take(at, mode="clip") * has_term
            total += shares if count == 1 else shares * np.float64(count)
        return total.astype(np.float32)


def _at_least_best(scores: NDArray[np.float32], limit: int) -> NDArray[np.int64]:
    """Return, in ascending order, every document that may be among the best `limit` once its score is exact."""
    least = np.float32(0)
    whole = len(scores) - len(scores) % _BLOCK
    best_of_blocks = scores[:whole].reshape(-1, _BLOCK).max(axis=1) if whole else scores
    if len(best_of_blocks) > limit:  # as many documents as blocks reach the limit-th best of the blocks
        least = np.partition(best_of_blocks, len(best_of_blocks) - limit)[-limit]
    near = np.flatnonzero(scores >= least * np.float32(1 - 1e-5)) if least > 0 else np.flatnonzero(scores)
    if len(near) > limit:
        kept = scores[near]
        least = np.partition(kept, len(kept) - limit)[-limit]
        near = near[kept >= least * np.float32(1 - 1e-5)]
    return near


def index_of(texts: Sequence[str]) -> Index:
    """Return an index in memory over some texts; of equal scores the earlier text comes first.

    Raises:
        MissingExtraError: Without the extra `search`.
    """
    with TemporaryDirectory() as name:
        builder = IndexBuilder(Path(name))
        for text in texts:
            builder.add(analysis.terms(text))
        builder.finish()
        return Index(Path(name), np.arange(len(texts), dtype=np.int32), mapped=False)


def _open_bm25(directory: Path, documents: int, *, mapped: bool) -> BM25:
    try:
        import bm25s
    except ImportError as error:
        raise MissingExtraError(f"search needs bm25s: {analysis.INSTALL}") from error
    bm25 = bm25s.BM25(k1=K1, b=B, method="lucene", dtype="float32", int_dtype="int32", backend="numpy")
    bm25.nonoccurrence_array = None
    bm25.load_scores(directory, mmap=mapped, num_docs=documents)
    return bm25
