package scrub
