"""Check an ONNX file before onnxruntime sees it: no data outside the file, no loops, no code, bounded size.

onnxruntime follows any path that a graph names, some releases anywhere on the disk, and runs a loop for as long as the
graph says. A scorer's graph needs neither, so both are refused. Only the protobuf wire format is read, in the few
messages that matter; tensors are skipped by their length.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cit_core.errors import CheckpointError

__all__ = ["require_plain_graph"]

MOST_FIELDS = 200_000
"""Fields of a graph that are looked at; a scorer's largest graph has 3,000."""
ARITHMETIC = """
Abs Add And Attention BatchNormalization BiasGelu Cast CastLike Clip Concat Constant ConstantOfShape Cos CumSum
DequantizeLinear Div DynamicQuantizeLinear DynamicQuantizeMatMul Einsum Equal Erf Exp Expand FastGelu Flatten
Gather GatherElements GatherND Gelu Gemm Greater GreaterOrEqual HardSigmoid Identity IsInf IsNaN
LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax MatMul MatMulInteger MatMulIntegerToFloat Max Mean
Min Mul Neg NonZero Not Or Pow QuantizeLinear RMSNormalization Range Reciprocal ReduceL2 ReduceMax ReduceMean
ReduceMin ReduceSum ReduceSumSquare Relu Reshape Round ScatterND Shape Sigmoid Sign SimplifiedLayerNormalization
Sin Size SkipLayerNormalization Slice Softmax Softplus Split Sqrt Squeeze Sub Swish Tanh Tile Transpose Trilu
Unsqueeze Where Xor
"""
OPERATORS = frozenset(ARITHMETIC.split())
"""Allowed operators: arithmetic on tensors. Operators that contain a graph of their own are not among them."""
DOMAINS = frozenset({"", "ai.onnx", "com.microsoft"})

# Field numbers of onnx.proto, as far as they are looked at.
MODEL = {7: "graph", 20: "training", 25: "functions"}
GRAPH = {1: "node", 5: "tensor", 15: "sparse"}
NODE = {4: "operator", 5: "attribute", 7: "domain"}
ATTRIBUTE = {5: "tensor", 6: "subgraph", 10: "tensor", 11: "subgraph", 22: "sparse", 23: "sparse"}
SPARSE = {1: "tensor", 2: "tensor"}
TENSOR = {13: "external", 14: "location"}
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


class _Malformed(Exception):
    """The bytes are not a protobuf message."""


def require_plain_graph(content: bytes, name: str) -> None:
    """Refuse a graph that reads other files, runs a graph within itself, or is not an ONNX file.

    Args:
        content: Content of the file.
        name: Name of the file, for the error.

    Raises:
        CheckpointError: Says which of these it is.
    """
    try:
        graphs = _Reader(content, name).model()
    except _Malformed as error:
        raise CheckpointError(f"{name} is not an ONNX graph ({error}); export the checkpoint again") from error
    if not graphs:
        raise CheckpointError(f"{name} is not an ONNX graph (it holds none); export the checkpoint again")


class _Reader:
    """Walks one file, message by message."""

    def __init__(self, content: bytes, name: str) -> None:
        self._content = memoryview(content)
        self._name = name
        self._left = MOST_FIELDS

    def model(self) -> int:
        """Check the file; return how many graphs it holds."""
        graphs = 0
        for field, start, end in self._message(0, len(self._content), MODEL):
            if field != "graph":
                self._refuse(f"holds {field}, which may call themselves")
            graphs += 1
            self._graph(start, end)
        return graphs

    def _graph(self, start: int, end: int) -> None:
        for field, *place in self._message(start, end, GRAPH):
            if field == "node":
                self._node(*place)
            else:
                self._data(field, *place)

    def _node(self, start: int, end: int) -> None:
        operator = domain = ""
        for field, *place in self._message(start, end, NODE):
            if field == "operator":
                operator = self._text(*place)
            elif field == "domain":
                domain = self._text(*place)
            else:
                for held, *within in self._message(place[0], place[1], ATTRIBUTE):
                    if held == "subgraph":
                        self._refuse("holds a graph within a graph, which may never end")
                    self._data(held, *within)
        if operator not in OPERATORS or domain not in DOMAINS:
            shown = ascii(f"{domain}.{operator}".lstrip("."))[:60]
            self._refuse(f"uses the operator {shown}, which no network of this release has")

    def _data(self, field: str, start: int, end: int) -> None:
        if field == "sparse":
            for _, *place in self._message(start, end, SPARSE):
                self._data("tensor", *place)
            return
        for _ in self._message(start, end, TENSOR):
            self._refuse("keeps data outside of the file, where no hash protects it")

    def _refuse(self, why: str) -> None:
        raise CheckpointError(f"{self._name} {why}; use a checkpoint that `cit train` exported")

    def _text(self, start: int, end: int) -> str:
        return bytes(self._content[start:end]).decode("utf-8", "replace")

    def _message(self, start: int, end: int, wanted: Mapping[int, str]) -> Iterator[tuple[str, int, int]]:
        """Yield the name, start and end of each field that is looked at; those of `TENSOR` where they are not 0."""
        place = start
        while place < end:
            self._left -= 1
            if self._left < 0:
                raise _Malformed(f"more than {MOST_FIELDS:,} fields")
            tag, place = self._varint(place, end, 5)
            number, kind = tag >> 3, tag & 7
            value = 1
            if kind == VARINT:
                value, stop = self._varint(place, end, 10)
            elif kind == BYTES:
                length, place = self._varint(place, end, 5)
                stop = place + length
            elif kind in (FIXED64, FIXED32):
                stop = place + (8 if kind == FIXED64 else 4)
            else:
                raise _Malformed(f"wire type {kind}")
            if stop > end or number == 0:
                raise _Malformed("a field that ends outside of its message")
            name = wanted.get(number)
            if name is not None and (wanted is TENSOR or kind == BYTES):
                if value:
                    yield name, place, stop
            elif name is not None:
                raise _Malformed(f"field {number} of wire type {kind}")
            place = stop

    def _varint(self, place: int, end: int, most: int) -> tuple[int, int]:
        value = 0
        for shift in range(0, 7 * most, 7):
            if place >= end:
                raise _Malformed("it ends within a number")
            byte = self._content[place]
            place += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value, place
        raise _Malformed("a number that does not end")
