 ; ---- the list of commands, which only the newer wording has
 (:action help
  :parameters (?a - agent)
  :precondition ()
  :effect (and (checked ?a)))
