package cors

const CodeTyped = "constant"

const (
	CodeTwice string = "twice"
	other            = "other"
)
