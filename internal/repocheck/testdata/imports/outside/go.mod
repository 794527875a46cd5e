module example.test/outside

go 1.26.0
