"""A stretch of groups, whole and in parts."""

from tests.trainers.corridor import corridor, small_config
from trainers.interrupt import Interruption
from trainers.parallel import Ranks
from trainers.playing import Playing
from trainers.policies.scripted import RandomPolicy


def test_parts_are_what_they_are_in_the_whole(tmp_path):
    config = small_config(tmp_path)
    env = corridor(max_episode_steps=3)
    playing = Playing(RandomPolicy(), env, config, Ranks())
    tasks = env.tasks("train")[:3]
    whole, stats = playing.train(tasks, 2, 5, 4, Interruption())
    stretch = playing._training(tasks, 2, 5, 4)
    parts = [stretch.part(share).play(RandomPolicy(), env) for share in (range(1, 3), range(1))]
    assert [*parts[1][0], *parts[0][0]] == whole
    assert parts[0][1].turns + parts[1][1].turns == stats.turns
    assert stretch == playing._training(list(tasks), 2, 5, 4)
    assert hash(stretch) == hash(playing._training(list(tasks), 2, 5, 4))
    assert stretch != playing._training(tasks, 2, 6, 4)
