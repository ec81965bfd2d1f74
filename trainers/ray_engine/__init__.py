"""Ray as the engine of a run: rollout workers play and learner ranks learn, as actors on any number of machines.

    driver                      `agent-gym train --ray …`: joins the cluster, starts the learner
                                ranks, and starts them anew when one is lost                       run, cluster
      learner rank 0, 1 …       each runs the loop of `trainers.train`                             learner
        rollout worker 0, 1 …   rank 0 has them play, gives them weights, replaces lost ones       playing, pool, worker

Nothing here imports Ray when it is loaded; `cluster.load_ray` does.
"""
