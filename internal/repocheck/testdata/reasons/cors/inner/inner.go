package inner

type Reason string

const ReasonConverted = Reason("converted")
