package cors

const reasonInTest Reason = "in_test"
