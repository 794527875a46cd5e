package cors

type Reason string

const ReasonTyped Reason = "typed"

const other = "other"
