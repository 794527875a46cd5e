package qstash

import (
	_ "example.test/fixture/hmacsig"
)
