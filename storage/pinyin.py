"""Han characters of names as pinyin, without tones (LIFECYCLE §5.3). Pure; pypinyin's table of characters is read once.

Its table of phrases is left alone: a name is no phrase, and it would cost every process tens of megabytes.
"""

from __future__ import annotations

import functools
import importlib.util
import re
import unicodedata
from array import array
from collections.abc import Sequence
from pathlib import Path

# Characters that are read otherwise as a surname; the usual reading is looked for too.
SURNAMES = {
    "单": ("shan",), "曾": ("zeng",), "仇": ("qiu",), "解": ("xie",), "查": ("zha",), "任": ("ren",), "华": ("hua",),
    "朴": ("piao", "pu"), "翟": ("zhai", "di"), "缪": ("miao",), "宓": ("mi", "fu"), "冼": ("xian",), "折": ("she",),
    "种": ("chong",), "秘": ("bi",), "繁": ("po",), "区": ("ou",), "盖": ("ge", "gai"), "葛": ("ge",),
    "乐": ("yue", "le"), "召": ("shao",), "车": ("che",), "谌": ("chen", "shen"), "句": ("gou",), "阚": ("kan",),
    "郗": ("xi", "chi"), "隗": ("wei", "kui"), "祭": ("zhai",), "逄": ("pang",), "洗": ("xian",),
    "覃": ("qin", "tan"), "卜": ("bu",), "粘": ("nian",), "么": ("yao",), "员": ("yun",), "燕": ("yan",),
    "柏": ("bai", "bo"), "尉": ("wei",), "石": ("shi",), "盛": ("sheng",), "宁": ("ning",), "那": ("na",),
    "撒": ("sa",), "晟": ("cheng",), "吕": ("lv", "yu"), "闾": ("lv",), "重": ("chong",), "长": ("chang",),
    "六": ("lu",), "黑": ("he", "hei"), "乜": ("nie",), "佴": ("nai",), "单于": ("chanyu",), "尉迟": ("yuchi",),
    "万俟": ("moqi",), "长孙": ("zhangsun",), "澹台": ("tantai",), "令狐": ("linghu",), "夏侯": ("xiahou",),
    "司马": ("sima",), "欧阳": ("ouyang",), "诸葛": ("zhuge",), "上官": ("shangguan",), "皇甫": ("huangfu",),
    "宇文": ("yuwen",), "东方": ("dongfang",), "慕容": ("murong",), "公孙": ("gongsun",), "轩辕": ("xuanyuan",),
    "司徒": ("situ",), "司空": ("sikong",), "鲜于": ("xianyu",), "端木": ("duanmu",), "南宫": ("nangong",),
    "西门": ("ximen",), "独孤": ("dugu",), "呼延": ("huyan",), "赫连": ("helian",), "申屠": ("shentu",),
    "太史": ("taishi",), "钟离": ("zhongli",), "闻人": ("wenren",),
}  # fmt: skip

# Characters of given names that families read in more than one way.
GIVEN = {
    "乐": ("le", "yue"), "茜": ("qian", "xi"), "娜": ("na", "nuo"), "晟": ("sheng", "cheng"),
    "长": ("chang", "zhang"), "朝": ("chao", "zhao"), "行": ("xing", "hang"), "重": ("zhong", "chong"),
    "曾": ("zeng", "ceng"), "柏": ("bai", "bo"), "盛": ("sheng", "cheng"), "卜": ("bu", "bo"), "荨": ("xun", "qian"),
    "莘": ("xin", "shen"),
}  # fmt: skip

# Initial -> finals that make a syllable with it.
_FINALS = {
    "": "a ai an ang ao e ei en eng er o ou",
    "b": "a ai an ang ao ei en eng i ian iao ie in ing o u",
    "p": "a ai an ang ao ei en eng i ian iao ie in ing o ou u",
    "m": "a ai an ang ao e ei en eng i ian iao ie in ing iu o ou u",
    "f": "a an ang ei en eng o ou u",
    "d": "a ai an ang ao e ei en eng i ia ian iao ie ing iu ong ou u uan ui un uo",
    "t": "a ai an ang ao e eng i ian iao ie ing ong ou u uan ui un uo",
    "n": "a ai an ang ao e ei en eng i ian iang iao ie in ing iu ong ou u uan uo v ve yu",
    "l": "a ai an ang ao e ei eng i ia ian iang iao ie in ing iu ong ou u uan un uo v ve yu",
    "g": "a ai an ang ao e ei en eng ong ou u ua uai uan uang ui un uo",
    "k": "a ai an ang ao e en eng ong ou u ua uai uan uang ui un uo",
    "h": "a ai an ang ao e ei en eng ong ou u ua uai uan uang ui un uo",
    "j": "i ia ian iang iao ie in ing iong iu u uan ue un",
    "q": "i ia ian iang iao ie in ing iong iu u uan ue un",
    "x": "i ia ian iang iao ie in ing iong iu u uan ue un",
    "zh": "a ai an ang ao e ei en eng i ong ou u ua uai uan uang ui un uo",
    "ch": "a ai an ang ao e en eng i ong ou u ua uai uan uang ui un uo",
    "sh": "a ai an ang ao e ei en eng i ou u ua uai uan uang ui un uo",
    "r": "an ang ao e en eng i ong ou u uan ui un uo",
    "z": "a ai an ang ao e ei en eng i ong ou u uan ui un uo",
    "c": "a ai an ang ao e en eng i ong ou u uan ui un uo",
    "s": "a ai an ang ao e en eng i ong ou u uan ui un uo",
    "y": "a an ang ao e i in ing o ong ou u uan ue un",
    "w": "a ai an ang ei en eng o u",
}
SYLLABLES = frozenset(initial + final for initial, finals in _FINALS.items() for final in finals.split())
_SYLLABLE_LIMIT = max(map(len, SYLLABLES))

_FIRST_HAN, _LAST_HAN = 0x3400, 0x323AF  # before them there are kana and U+3007
_ENTRY = re.compile(rb'"(\d+)": "([^",]+)')  # code point, its readings, the usual one first
_DIAERESIS = "\u0308"


def is_han(char: str) -> bool:
    """Whether the character has a reading."""
    return ord(char) >= _FIRST_HAN and bool(_reading(char))


def readings(char: str) -> tuple[str, ...]:
    """The usual syllables of a Han character of a given name, its `ü` in every spelling that people type."""
    return _spelled(GIVEN.get(char) or (_reading(char),))


def surname(chars: str) -> tuple[int, tuple[str, ...]]:
    """How many characters at the start of a name are its surname, and the readings of it."""
    if len(chars) > 2 and chars[:2] in SURNAMES:
        return 2, SURNAMES[chars[:2]]
    first = chars[0]
    return 1, _spelled((*SURNAMES.get(first, ()), _reading(first)))


@functools.lru_cache(maxsize=1024)
def syllables(word: str) -> tuple[str, ...]:
    """A word of Latin letters cut into pinyin, longest syllables first; empty when it is none."""
    if not word:
        return ()
    for size in range(min(_SYLLABLE_LIMIT, len(word)), 0, -1):
        if word[:size] in SYLLABLES:
            rest = syllables(word[size:])
            if rest or size == len(word):
                return (word[:size], *rest)
    return ()


def _spelled(found_readings: Sequence[str]) -> tuple[str, ...]:
    """`lv` is typed lv, lu (of lü without its dots) and lyu (as in passports)."""
    found = dict.fromkeys(found_readings)
    for one in found_readings:
        if "v" in one:
            found.update(dict.fromkeys((one.replace("v", "u"), one.replace("v", "yu"))))
    return tuple(found)


def _reading(char: str) -> str:
    numbers, texts = _table()
    code = ord(char)
    return texts[numbers[code]] if code < len(numbers) else ""


@functools.cache
def _table() -> tuple[array[int], list[str]]:
    """(number of the usual reading by code point, the readings; 0 is none): half a megabyte.

    Read entry by entry: the whole file as Python values would leave ten megabytes behind.
    """
    spec = importlib.util.find_spec("pypinyin")  # found, not imported: importing it reads the phrases
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("pypinyin is not installed")
    source = Path(spec.submodule_search_locations[0]) / "pinyin_dict.json"
    texts, number_of = [""], {"": 0}
    numbers = array("H", bytes(2 * (_LAST_HAN + 1)))
    for entry in _ENTRY.finditer(source.read_bytes()):
        code, text = int(entry[1]), _toneless(entry[2].decode())
        if text not in number_of:
            number_of[text] = len(texts)
            texts.append(text)
        if code <= _LAST_HAN:
            numbers[code] = number_of[text]
    return numbers, texts


@functools.lru_cache(maxsize=2048)
def _toneless(syllable: str) -> str:
    decomposed = unicodedata.normalize("NFD", syllable)
    bare = "".join(char for char in decomposed if char == _DIAERESIS or not unicodedata.combining(char))
    return bare.replace("u" + _DIAERESIS, "v")
