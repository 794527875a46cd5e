package cors

const codeInTest = "in_test"
