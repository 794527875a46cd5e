package server

type Reason string

const reasonElsewhere Reason = "outside_the_seven"

var refused = problem.New(403, "literal", "Refused", nil)
