package server

const codePrivate = "private"

var refused = sallyport.Refusal{Status: 403, Code: "literal", Title: "Refused"}
