"""Statements that share the words of a source and say something else get no citation; true ones keep theirs."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeai.documents.passages import passages
from edgeai.documents.quantities import measures, numbers
from edgeai.documents.support import Support
from edgeai.documents.types import Block, Document


def is_cited(statement: str, source: str) -> bool:
    document = Document(Path("a.txt"), "text", "a", "0" * 64, (Block(source, line=1),))
    return Support(passages(document)).best(statement) is not None


PAIRS = [  # a source, what it supports, what it does not
    ("The pump must be cleaned with water.", "Clean the pump with water.", "The pump must not be cleaned with water."),
    ("The pump must not be cleaned with water.", "Never clean the pump with water.", "The pump is cleaned with water."),
    ("Don't open the case while the lamp blinks.", "The case must not be opened while the lamp blinks.",
     "Open the case while the lamp blinks."),
    ("The gap is 10 mm wide.", "The gap is 10 millimetres wide.", "The gap is 10 cm wide."),
    ("Wait ten seconds before the restart.", "Wait 10 s before the restart.", "Wait ten minutes before the restart."),
    ("The tank holds at least 40 litres of water.", "At least 40 l of water are held by the tank.",
     "The tank holds at most 40 litres of water."),
    ("Alpha is larger than Beta in every test.", "In every test Alpha is larger than Beta.",
     "Beta is larger than Alpha in every test."),
    ("The valve is controlled by the pump.", "The pump controls the valve.", "The pump is controlled by the valve."),
    ("Open the valve before starting the motor.", "Start the motor after opening the valve.",
     "Open the valve after starting the motor."),
    ("The default weight is 50, and the maximum weight is 100.", "The maximum weight is 100 and the default is 50.",
     "The default weight is 100, and the maximum weight is 50."),
    ("The manual was printed on 2 October 2018.", "The manual was printed on October 2, 2018.",
     "The manual was printed on 2 November 2018."),
    ("You need not remove the battery to clean the lamp.", "To clean the lamp, you do not need to remove the battery.",
     "You need to remove the battery to clean the lamp."),
    ("ポンプは水で洗浄してください。", "ポンプは水で洗浄します。", "ポンプは水で洗浄しないでください。"),
    ("ポンプは水で洗浄できません。", "ポンプを水で洗浄することはできません。", "ポンプは水で洗浄できます。"),
    ("フィルターを毎月交換しなければなりません。", "フィルターは毎月交換します。", "フィルターは毎月交換しません。"),
    ("室温は5度以上に保ってください。", "室温を5度以上に保ちます。", "室温は5度以下に保ってください。"),
    ("隙間は10ミリメートルです。", "隙間は10mmです。", "隙間は10センチメートルです。"),
    ("弁がポンプを制御します。", "ポンプは弁に制御されます。", "ポンプが弁を制御します。"),
    ("電源を切る前に電池を外します。", "電池は電源を切る前に外してください。", "電源を切った後に電池を外します。"),
    ("兄は母ばかり大切にしていた。", "兄は母ばかりを大切にしました。", "母は兄ばかり大切にしていた。"),
    ("彼は二階の窓から飛び降りた。", "彼は2階の窓から飛び降りました。", "彼は三階の窓から飛び降りた。"),
    ("申請書を署長に提出しなければならない。", "申請書は署長に提出します。", "申請書を署長に提出する必要はない。"),
    ("Silver is sold in May and copper is sold in June.", "In May silver is sold, and copper in June.",
     "Copper is sold in May and silver is sold in June."),
    ("The lamp stands left of the door, being red; the fan stands behind the window, being green.",
     "The red lamp stands left of the door, and the green fan stands behind the window.",
     "The lamp stands behind the window; the fan stands left of the door."),
    ("Peru is the second largest producer of silver and the third largest of copper.",
     "The third largest producer of copper and the second largest of silver is Peru.",
     "Peru is the third largest producer of silver and the second largest of copper."),
    ("The output per worker has doubled since the war.", "Since the war, output per worker doubled.",
     "The output per worker has tripled since the war."),
    ("The well gives ninety barrels of oil per day.", "Ninety barrels of oil come from the well per day.",
     "The well gives ninety buckets of oil per day."),
    ("The Hutus, a large group, overthrew the ruling Tutsi king.",
     "The ruling king, a Tutsi, was overthrown by the Hutus.",
     "The Tutsis, a large group, overthrew the ruling Hutu king."),
    ("The king of the island visited Norway in spring.", "In spring, the island's king visited Norway.",
     "The king of the island visited Sweden in spring."),
    ("Alice teaches Robert.", "Robert is taught by Alice, who teaches him.", "Robert teaches Alice."),
    ("The road was built by miners from the north.", "Miners from the north built the road.",
     "The road was built by soldiers, and miners from the north came."),
    ("The minister will sail for Chile in a few days.", "In a few days the minister will sail for Chile.",
     "The minister sailed for Chile a few days ago."),
    ("You will need the key of the case.", "You need the key of the case.", "You do not need the key of the case."),
    ("Over two hundred workers of the mill fell ill.", "More than two hundred workers of the mill fell ill.",
     "Less than two hundred workers of the mill fell ill."),
    ("Set the pump P-38 to the lowest speed.", "The pump P38 is set to the lowest speed.",
     "Set the pump Q-38 to the lowest speed."),
    ("In 5 years the firm earns 200 dollars, and in 10 years 500 dollars.", "The firm earns 200 dollars in 5 years.",
     "The firm earns 500 dollars in 5 years."),
    ("瓶には松の大きな枝が挿してある。", "松の大きな枝が瓶に挿してある。", "瓶には梅の大きな枝が挿してある。"),
    ("月給は二十五円で、家賃は六円だ。", "家賃は6円で、月給は25円です。", "月給は六円で、家賃は二十五円だ。"),
    ("校長は白い帽子、教頭は黒い帽子をかぶる。", "教頭は黒い帽子をかぶり、校長は白い帽子をかぶる。",
     "校長は黒い帽子、教頭は白い帽子をかぶる。"),
    ("額は、行為が適法であるかどうかを問わない。", "行為が適法であるかどうかは、額では問わない。",
     "額は、行為が適法である場合に限られる。"),
    ("署長は、その国税（滞納の費用を含む。以下同じ。）の徴収を猶予しない。", "署長は国税の徴収を猶予しない。",
     "署長は国税（滞納の費用を含む）の徴収を猶予する。"),
    ("ファイルは昇順で解析されます。", "ファイルの解析は昇順です。", "ファイルは降順で解析されます。"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "true", "false"), PAIRS)
def test_a_statement_that_says_the_contrary_is_not_cited(source: str, true: str, false: str) -> None:
    assert is_cited(source, source)
    assert is_cited(true, source)
    assert not is_cited(false, source)


def test_a_sentence_that_says_nearly_nothing_of_it_does_not_stand_in_for_one_that_denies_it() -> None:
    source = "The blue pump must not be cleaned with water. Some blue pump stands in the old water works."
    assert not is_cited("The blue pump is cleaned with water.", source)
    assert is_cited("The blue pump stands in the old water works.", source)


def test_clauses_are_held_against_those_that_speak_of_the_same() -> None:
    source = "The file changes the choice of versions, but it does not change the choice of mirrors."
    assert is_cited("The file changes the choice of versions, not of mirrors.", source)
    assert not is_cited("The file does not change the choice of versions.", source)
    assert not is_cited("兄は母ばかり大切にした。", "母は兄ばかり大切にした。この兄は色が白い。")
    source = "設定はバージョンの選択にのみ影響し、場所の選択には影響しません。"
    assert is_cited("設定はバージョンの選択にだけ影響し、場所の選択には影響しません。", source)
    assert not is_cited("設定は場所の選択に影響します。", source)
    assert not is_cited("場所の選択には影響しますが、バージョンの選択には影響しません。", source)


def test_what_a_statement_speaks_of_may_be_named_above_its_sentence() -> None:
    source = "Peru lies on the coast. Ubinas is the most active volcano of the whole country, and it is tall."
    assert is_cited("Ubinas is the most active volcano of Peru, and it is tall.", source)
    assert not is_cited("Ubinas is the most active volcano of Chile, and it is tall.", source)
    assert not is_cited("ペルーは火山が最も多い国で、海に面している。", "この国は火山が最も多い国で、海に面している。")


def test_a_freely_worded_statement_may_have_words_of_its_own() -> None:
    source = "By the end of winter ninety tons of the private capital of the city was spent by the state on the canal."
    free = (
        "Paving, digging a canal, the state spent ninety tons of the private treasure of the city by the end of winter."
    )
    assert is_cited(free, source)
    assert not is_cited("By the end of winter ninety tons of the private treasure of the city was spent.", source)


def test_a_sentence_does_not_end_within_brackets_or_before_its_verb() -> None:
    support = Support(passages(Document(Path("a.txt"), "text", "a", "0" * 64, (Block(
        "箱（赤い箱を含む。以下同じ。）は窓の下に置く。彼は「雨だ。傘が要る。」と云った。", line=1),))))  # fmt: skip
    evidence = support.best("赤い箱は窓の下に置く。")
    assert evidence is not None
    assert evidence.quote == "箱（赤い箱を含む。以下同じ。）は窓の下に置く。"
    long = "署長は、" + "甲の規定により乙が丙に提出した申請書、" * 25 + "国税の徴収を猶予しない。"
    assert not is_cited("甲の規定により乙が丙に申請書を提出した国税の徴収を、署長は猶予する。", long)


def test_numbers_and_units_are_read_in_any_form() -> None:
    assert numbers("１，２００ and 3.5, on 4 May; you may march") == {"1200", "3.5", "4", "may"}
    assert numbers("two ways in two hours") == numbers("2") == numbers("two", is_source=True)
    assert numbers("two ways") == frozenset()
    assert measures("10 mm, １０ｍｍ, 10-millimetre") == {("10", "mm")}
    assert measures("5分間で80％、3 時間") == {("5", "min"), ("80", "%"), ("3", "h")}
    assert numbers("二十五歳で三階から、百二十本のうち一人") == {"25", "3", "120"}
    assert numbers("千二百円、三万五千人、十億年") == {"1200", "35000", "1000000000"}
    assert numbers("the second pump doubled") == numbers("The pump, second of its kind, is double") == {"2nd", "x2"}
    assert numbers("Second, wait a second or 3 seconds per second.") == {"3", "2nd"}
    assert measures("a 10 mmx, 7 hidden") == set()
