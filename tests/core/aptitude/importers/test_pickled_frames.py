"""Pickled DataFrames: read as pandas would, without pandas; and nothing that a pickle names is ever called."""

from __future__ import annotations

import base64
import math
import os
import pickle
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cit_core.aptitude.importers.pickled_frames import read_frame
from cit_core.errors import InvalidInput

FRAME = {
    "sample_id": ["a.1", "a.2", "b.1"],
    "prompt": ["['Hi?']", "['One.', 'Two?']", "plain"],
    "eval_name": ["greet", "greet", "plain"],
    "org/m": [1.0, 0.25, math.nan],
    "m2": [0.0, 1.0, 1.0],
    "org/m|model_response": ["['r']", "['s']", "nan"],
    "m2|model_response": ["['q']", "['q']", "['q']"],
    "org/m|total_cost": [0.001, 0.002, math.nan],
    "oracle_model_to_route_to": ["org/m", "m2", "m2"],
    "m2|total_cost": [0.1, 0.2, 0.3],
    "n": [1, 2, 3],
}
PICKLED = {
    ("1.5.3", 4): (
        "c-oCr-EPw`6mHsPTQ^{v_$vY-#7&9>1%?DjLyANZ0-|+j;)1D~GAH%wXo(XXhcamsaIvuo-_2aW8}JA`0(S^rWZZFq1jkMb-49~E@HuvlKY!"
        "<o&v{jTw`dmh5R(a_ZIssinBn>oLlKsuau0EIU;Eqg(rdXUYohE%9VW&3!SH}`%qR-edW0zIV3ta8<Zc-I%QN{Jj@QJg-Vrwpy!7uGDaPH5C"
        "V{^kV%JlLAX=QHS(L2g@KF}>05OJE0M=#Lk7>$T=5rNj>Od)m0b7S`OQ*0d8-^#}$T?Ya45#RnHY6DrW}B}hDiu*&x-GXh^Y0~L+>y;@^U*I"
        "DdU6U}dRvWaxiUL;Zol;GkC%mAqyK%!mT*jrcv%2+Ddc6QVc@I#oRVWYhPuuvs+o+DV`Ng%B**(CO--^YinF_@t?r>_D{2d%W(n1=OEpiy>?"
        "wb^WjzRNYe9;MmNiRp-MW0ideV*cmYIYopkO-;V=l=pa#NTsi|KDID^<2c5!I__up-lB8Unoon67J{!2nNk?jQkceTj^oE%t2h%@u}vRtfiS"
        "Wely%*{w$P=g03~XS~ODZWsUj5OtnhbcUUg|EZi~UC|1fG3#87;4wr~lFZ{AW5lT(4ny(z@Lr8ic5Xl0H}v>s_xMzt(ZgXi0Bf&Cr2%aKYt$"
        "JV#NtwAP~BaGZTteKbq}Rbx}z?|UH75dg9k`5VfKAp#BC^Sxu4G1dS9GMilPJxGH6RNl(0BTIP?Sj9EC1b{eV0r^Wub7a5akCIE1=P6DUl$d"
        "or5Zw>Oc8@|XjHAE$s;jT!RciaeCZE{ijc!I9!9APj~YRI2|Y%KGkRwxQ(giZci0&k*e>0p^q)NSeHDLPc`KI5Y@RPI;U_VJZiMV`xmQCTMZ"
        "cCm>rTQoj?r5#~s%rV0je4n1xSq;Z!*)Y0x~6ozp(b=z42Wse|}5P2B-+h&@1_1_T6^C<"
    ),
    ("2.2.3", 5): (
        "c-nPTPfrvv6yMopfMrpE2*QPUF|#ISQM_OxnFNecCoF~-Ic&(-neA>T%s)CEkp!Y179r`)N}}JukKjk}X7r2T&4Y=)c6M=g!5;cv+xLEb@7K"
        "QfM*raJ1vU6&jKU^LYHmbvtwm9Q1us893_Vo(dvWuvI1p7nWCv|3_<Y{n3mK*%@{?MCLe$1I5qx~bkKFCGYz^*JKGSuvea}h$`3Qc+PQ%!9w"
        "|#6o(h02jRG0?wUIq^;rk*Q!#ct6kaMD&QgFLxi$d6Mqli#}X*XzQC=clINy21z9WP7npj~81@;`r#D*br5##I^gPUavp-14B(#feFVdTBSq"
        "5wN=5ujE_30=QA&a6!gURTnS^9EZx#1idB>|sqpDsDnSYkh*AVskJ}WxQJ65Ax(r;&1Rnu{)FA*BI$~9GL>7<+sBkrz;>Gp8F!u+-G$G96En"
        "vHZYIlU37h!g!KGHBAd8V-?_(a244{^=7b=`Qj8>uZl_K_EYY*UPxAos`;*Bb^^XAL8fvJ|3Ft#)8VmdP?0I^=Toq}tDOLF>w5S9bqcVYn+*"
        "9$qdFGIIghdPk5smSa+0HQR;w{rTtjHRq|B$rooYF32>HC8<)bWZoLFM*AOx+#rTzm)z`en>j2f-t>sJ7XtVW!J;6WD#Lj|C=X!dLizMjjxS"
        "~=znXW|_+g$8rEHD;A7+rW(ivGR12AJ&B@e@djC;1fAe;CVPHGNHpp3`t5bxTL<(~Xz5!ZXVD(EH@xj0WsrPHINoS-0v;`Ew=564h}F@xTKU"
        "n1WQWp5zQ$tJ(5c-s%6CidZDCo%kNxO*~KJhwNInX-rhf*U1(HXBjo!WEe*i)<RD41*&0B|ylVYN3#?!iUt|_4H7Zvcu;t%AcaJEeY6=GM6;"
        "z)S+Y<q73Sc4<#&$p>m~yLD3W@mJ_r)=ns&sB&pXG?Eo{RSd+zp7=wOy0MytmAGMWw4f%ewo7l}XhQ5Fx6CXJkdficyI<>z)?(hQ"
    ),
}
"""The frame as pandas has pickled it: (version of pandas, protocol) to zlib in base 85."""


def unpacked(key: tuple[str, int]) -> bytes:
    return zlib.decompress(base64.b85decode(PICKLED[key]))


def read(folder: Path, content: bytes) -> dict[str, list[Any]]:
    path = folder / "frame.pkl"
    path.write_bytes(content)
    with read_frame(path) as frame:
        rows = list(frame.rows(frame.names))
        return {name: [row[name] for row in rows] for name in frame.names}


@pytest.mark.parametrize("key", PICKLED, ids=lambda key: f"pandas-{key[0]}-protocol-{key[1]}")
def test_frames_of_older_pandas_are_read(tmp_path: Path, key: tuple[str, int]) -> None:
    columns = read(tmp_path, unpacked(key))
    assert list(columns) == list(FRAME)
    assert repr(columns) == repr(FRAME), "repr, because NaN is not equal to itself"


@pytest.mark.parametrize("protocol", [4, 5])
def test_frames_of_the_pandas_that_is_installed_are_read(tmp_path: Path, protocol: int) -> None:
    pandas = pytest.importorskip("pandas", reason="pip install pandas")
    frame = pandas.DataFrame({name: pandas.Series(values, dtype=object) for name, values in FRAME.items()})
    frame = frame.astype({"m2": "float64", "n": "int32"}).assign(odd=[True, False, True], small=np.float32([1, 2, 0.5]))
    frame.columns = pandas.Index(list(frame.columns), dtype=object)
    columns = read(tmp_path, pickle.dumps(frame[::-1], protocol=protocol))
    expected = {name: values[::-1] for name, values in FRAME.items()} | {"odd": [True, False, True]}
    assert repr(columns) == repr(expected | {"small": [0.5, 2.0, 1.0]})


@pytest.mark.parametrize("protocol", [4, 5])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<f8", ">f8", "<f4", ">i2", "u1", "?"])
def test_however_the_numbers_lie_in_memory(tmp_path: Path, protocol: int, order: Any, dtype: str) -> None:
    pandas = pytest.importorskip("pandas", reason="pip install pandas")
    values = np.array([[0, 1], [1, 1], [0, 0]], dtype=dtype, order=order)
    frame = pandas.DataFrame(values, columns=pandas.Index(["x", "y"], dtype=object), copy=False)
    assert read(tmp_path, pickle.dumps(frame, protocol=protocol)) == {"x": [0, 1, 0], "y": [1, 1, 0]}


cells = st.lists(st.floats() | st.text(), min_size=3, max_size=3)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    numbers=st.lists(st.lists(st.floats(width=32), min_size=3, max_size=3), max_size=4),
    objects=st.lists(cells, max_size=4),
)
def test_what_pandas_has_written_comes_back(
    tmp_path: Path, numbers: list[list[float]], objects: list[list[Any]]
) -> None:
    pandas = pytest.importorskip("pandas", reason="pip install pandas")
    frame = pandas.DataFrame({f"c{place}": pandas.Series(column, dtype=object) for place, column in enumerate(objects)})
    for place, column in enumerate(numbers):  # between the others: blocks then hold columns that are not neighbours
        frame.insert(min(place * 2, len(frame.columns)), f"n{place}", np.array(column))
    frame.columns = pandas.Index(list(frame.columns), dtype=object)
    columns = read(tmp_path, pickle.dumps(frame))
    assert repr(columns) == repr({name: frame[name].tolist() for name in frame.columns})


class Calls:
    """Pickles as a call."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.made_of = function, arguments

    def __reduce__(self) -> Any:
        return self.made_of


def touch(marker: Path) -> list[tuple[str, bytes]]:
    """Pickles that would leave a file behind, each by another way to what may run it."""
    command = f"touch {marker}"
    python = f"open({str(marker)!r}, 'w')"
    return [
        ("posix.system", pickle.dumps(Calls(os.system, command))),
        ("builtins.eval", pickle.dumps(Calls(eval, python))),
        ("builtins.exec", pickle.dumps(Calls(exec, python), protocol=2).replace(b"__builtin__", b"builtins")),
        ("__builtin__.eval", pickle.dumps(Calls(eval, python), protocol=2)),
        ("builtins.getattr", pickle.dumps(Calls(getattr, Calls(__import__, "os"), "system"))),
        ("builtins.__import__", pickle.dumps(Calls(__import__, "os"))),
        ("os.system", b"cos\nsystem\n(S'" + command.encode() + b"'\ntR."),
        ("os.system", b"(S'" + command.encode() + b"'\nios\nsystem\n."),
        ("numpy.load", by_name("numpy", "load", str(marker))),
        ("numpy.memmap", by_name("numpy", "memmap", str(marker), "u1", "w+", 0, 8)),
        ("numpy.fromfile", by_name("numpy", "fromfile", str(marker))),
        ("numpy.DataSource", by_name("numpy", "DataSource", str(marker))),
        ("numpy.testing._private.utils.runstring", by_name("numpy.testing._private.utils", "runstring", python, {})),
        ("numpy._core.multiarray.scalar", by_name("numpy._core.multiarray", "scalar")),
        ("numpy.ndarray.tofile", by_name("numpy", "ndarray.tofile", str(marker))),
        ("builtins.slice.__class__", by_name("builtins", "slice.__class__", "x")),
        ("pandas.core.frame.DataFrame.query", by_name("pandas.core.frame", "DataFrame.query", python)),
        ("pandas.read_pickle", by_name("pandas", "read_pickle", str(marker))),
        ("pandas.eval", by_name("pandas", "eval", python)),
        ("cit_core.errors.InvalidInput", by_name("cit_core.errors", "InvalidInput", "x")),
    ]


def by_name(module: str, name: str, *arguments: Any) -> bytes:
    """A pickle that calls what it names; the name may have dots."""
    told = pickle.dumps(arguments, protocol=4)[2:-1]  # without the protocol and the stop
    return b"\x80\x04" + b"".join(text(part) for part in (module, name)) + b"\x93" + told + b"R."


def text(value: str) -> bytes:
    return b"\x8c" + bytes([len(value)]) + value.encode()


NAMES = [name for name, _ in touch(Path("marker"))]


@pytest.mark.parametrize("place", range(len(NAMES)), ids=NAMES)
@pytest.mark.parametrize("hidden", [False, True], ids=["bare", "in a frame"])
def test_what_could_run_something_is_refused_before_it_runs(tmp_path: Path, place: int, hidden: bool) -> None:
    marker = tmp_path / "marker"
    name, content = touch(marker)[place]
    if hidden:  # a good frame first, the call after it
        content = unpacked(("2.2.3", 5))[:-1] + content.removeprefix(content[:2] if content[:1] == b"\x80" else b"")
    before = set(sys.modules)
    with pytest.raises(InvalidInput, match=r"the pickle names .*nothing in it was run") as caught:
        read(tmp_path, content)
    assert f"names {name}," in str(caught.value)
    assert not marker.exists()
    assert not {new for new in set(sys.modules) - before if new.startswith(("pandas", "numpy.testing"))}


def test_the_names_that_may_stand_there_run_nothing_either(tmp_path: Path) -> None:
    """An array of pointers, an array as large as the address space, a class that is changed: all are just data."""
    array = b"\x80\x04" + text("numpy") + text("dtype") + b"\x93"
    for content in (
        by_name("numpy", "ndarray", (2**40,)),
        by_name("numpy.core.multiarray", "_reconstruct", (2**40,), (2**40,), b"O"),
        by_name("builtins", "slice", 0, 2**62, 1),
        array + text("O8") + b"\x85R" + b"(K\x03" + text("|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK?tb.",
        array + b"}" + text("name") + text("eval") + b"sb.",  # BUILD on the class itself
        array + b"N}" + text("__setstate__") + b"Ns\x86b.",
        array + b"}" + text("a") + b"K\x01s\x92.",  # NEWOBJ_EX with keywords
    ):
        with pytest.raises(InvalidInput, match="DataFrame"):
            read(tmp_path, content)
    assert read(tmp_path, unpacked(("2.2.3", 5)))["n"] == [1, 2, 3], "and the next frame is read as ever"


def test_what_is_no_frame_of_texts_and_numbers_is_refused(tmp_path: Path) -> None:
    for content, message in (
        (pickle.dumps([1, 2]), "holds no DataFrame but list"),
        (pickle.dumps({"_mgr": 1}), "holds no DataFrame but dict"),
        (b"", "not a pickled DataFrame"),
        (b"sample_id,prompt\n", "not a pickled DataFrame"),
        (zlib.compress(unpacked(("2.2.3", 5))), "not a pickled DataFrame"),
    ):
        with pytest.raises(InvalidInput, match=message) as caught:
            read(tmp_path, content)
        assert str(caught.value).startswith(str(tmp_path / "frame.pkl"))
    with pytest.raises(InvalidInput, match=r"IsADirectory|Permission"), read_frame(tmp_path):
        pass


def test_other_types_of_columns_are_refused(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas", reason="pip install pandas")
    for values in (
        pandas.Series(["a"], dtype="category"),
        pandas.to_datetime(pandas.Series(["2024-01-01"])),
        pandas.Series(np.array([1 + 2j])),
    ):
        frame = pandas.DataFrame({0: values}).rename(columns={0: "x"})
        frame.columns = pandas.Index(["x"], dtype=object)
        with pytest.raises(InvalidInput):
            read(tmp_path, pickle.dumps(frame))
    with pytest.raises(InvalidInput, match="not a pickled DataFrame of texts and numbers"):
        read(tmp_path, pickle.dumps(pandas.DataFrame([[1.0, 2.0]])))


@pytest.mark.parametrize("key", PICKLED, ids=lambda key: f"pandas-{key[0]}")
def test_a_pickle_that_is_cut_is_refused(tmp_path: Path, key: tuple[str, int]) -> None:
    whole = unpacked(key)
    for end in range(0, len(whole), 7):
        with pytest.raises(InvalidInput):
            read(tmp_path, whole[:end])
