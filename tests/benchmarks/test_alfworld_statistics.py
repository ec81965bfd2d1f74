import re

from benchmarks.alfworld_statistics import main


def test_tables_count_games_and_rejections(capsys):
    assert main(["--games", "12", "--difficulty", "easy"]) == 0
    figures, rejections = capsys.readouterr().out.strip().split("\n\n")
    assert "| games | 12 | 12 | 12 |" in figures
    assert re.search(r"\| receptacles \| \d\.\d \(\d to 8\)", figures)
    (line,) = (line for line in rejections.splitlines() if "drawn" in line)
    drawn = [int(number) for number in re.findall(r"\d+", line)]
    rejected = [0, 0, 0]
    for line in rejections.splitlines()[4:]:
        rejected = [sum(pair) for pair in zip(rejected, map(int, re.findall(r"\| (\d+) \(", line)), strict=True)]
    assert drawn == [12 + number for number in rejected]


def test_published_games_stand_beside_the_generated(capsys, alfworld_data):
    main(["--games", "3", "--data", str(alfworld_data)])
    header = capsys.readouterr().out.splitlines()[0]
    assert header == "|  | train | valid_seen | generated_train | generated_valid | generated_test |"
