module example.test/fixture

go 1.26.0

require example.test/outside v0.0.0

replace example.test/outside => ./outside
