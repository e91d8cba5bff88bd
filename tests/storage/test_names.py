"""Names are found by what people type: any order, any script, any spelling (LIFECYCLE §5.3)."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.names import GROUPS, LETTERS_LIMIT, WORDS_LIMIT, openings, sounds_like, ways
from storage.pinyin import SYLLABLES, syllables

FOUND = {
    "Zhang^San=张^三": [
        "zhang",
        "zhan",
        "z",
        "san",
        "zhang san",
        "san zhang",
        "zhangsan",
        "sanzhang",
        "Zhang^San",
        "SAN^ZHANG",
        "zs",
        "张",
        "张三",
        "三",
        "张^三",
        "三 张",
        "张 san",
        "z s",
        "zh s",
        "zhāng sān",
        "ＺＨＡＮＧ",
        "zhang=张",
        "*zhang*",
    ],
    "张三丰": ["zhang", "sanfeng", "feng", "zsf", "sf", "zhang sf", "zhang sanfeng", "sanfeng zhang", "三丰", "丰"],
    "zhangsan": ["san", "zs", "zhang san", "san zhang"],
    "San^Zhang": ["zhangsan", "zs", "zhang san"],
    "=张^三": ["zs", "zhangsan"],
    "单^雄信": ["shan", "shanxiongxin", "sxx", "xiongxin", "dan"],
    "曾^国藩": ["zeng", "zgf", "ceng"],
    "仇^英": ["qiu", "qiuying", "qy"],
    "解^缙": ["xie", "xiejin", "xj"],
    "查^良镛": ["zha", "zly"],
    "尉迟^恭": ["yuchi", "yuchigong", "ycg", "yu chi gong", "gong yuchi"],
    "万俟^卨": ["moqi", "mq"],
    "吕^布": ["lv", "lü", "lu", "lyu", "yu", "lvbu", "lübu", "LYU BU", "lb"],
    "欧阳^娜娜": ["ouyang", "oynn", "nana ouyang"],
    "䶮^㛃": ["yan", "yanjie", "yj"],
    "Müller^Jörg": ["muller", "MÜLLER", "jorg", "jorg muller", "müll", "mullerjorg"],
    "O'Brien^Mary-Jane": ["obrien", "o'brien", "mary", "jane", "mary-jane", "jane obrien"],
    "Łukasiewicz^Jan": ["lukasiewicz"],
    "Yamada^Tarou=山田^太郎=やまだ^たろう": ["yamada", "山田", "太郎", "やまだ", "たろう"],
    "Hong^Gildong=洪^吉洞=홍^길동": ["gildong", "洪", "홍", "길동"],
}
NOT_FOUND = {
    "Zhang^San=张^三": ["hang", "an", "zhang si", "li", "zsa", "四", "zhangs i", "^", "", "*", "?"],
    "单^雄信": ["chan"],
    "Müller^Jörg": ["uller", "mj", "jorge"],
    "": ["a"],
    "^^": ["a"],
}


@pytest.mark.parametrize(("name", "asked"), [(name, asked) for name, some in FOUND.items() for asked in some])
def test_a_name_is_found_by_what_people_type(name: str, asked: str) -> None:
    assert sounds_like(asked, [name])


@pytest.mark.parametrize(("name", "asked"), [(name, asked) for name, some in NOT_FOUND.items() for asked in some])
def test_a_name_is_not_found_by_anything_else(name: str, asked: str) -> None:
    assert not sounds_like(asked, [name])


def test_a_word_is_cut_into_pinyin_or_not_at_all() -> None:
    assert syllables("zhangsanfeng") == ("zhang", "san", "feng")
    assert syllables("fangan") == ("fang", "an")
    assert syllables("xian") == ("xian",)
    assert syllables("gildong") == ()
    assert len(SYLLABLES) > 400


@given(st.text(max_size=80), st.text(max_size=40))
def test_any_text_is_a_name_and_can_be_asked_for(name: str, asked: str) -> None:
    found = openings(name)
    assert list(found) == sorted(set(found))
    assert all(0 < len(text) <= LETTERS_LIMIT for text in found)
    assert not any(longer != text and longer.startswith(text) for text in found for longer in found)
    sounds_like(asked, [name])


@given(st.text(min_size=1, max_size=30).filter(lambda name: name.count("=") < GROUPS))
def test_a_name_is_found_by_itself_and_by_each_of_its_beginnings(name: str) -> None:
    words = ways(name)
    if words:
        assert sounds_like(name, [name])
        assert all(sounds_like(text[:2], [name]) for text in openings(name))


def test_hostile_names_stay_small() -> None:
    for name in ("张" * 500, "单乐茜娜晟长朝行重曾" * 50, "a b " * 250, "xian" * 120, "=".join(["长"] * 200)):
        assert len(openings(name)) < 40 * WORDS_LIMIT


def test_the_table_of_phrases_is_never_read() -> None:
    program = (
        "import sys; from storage.names import openings; assert 'zs' in openings('张^三'); "
        "assert not any('pypinyin' in name for name in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
