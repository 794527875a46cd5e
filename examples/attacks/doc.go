// Package attacks proves the attack kit, tools/gatetest, both ways: a server that
// is composed of this module's gates withstands every attack, in the process and
// over loopback, and of some fifty servers that each have one mistake every one is
// caught, by the attack that is meant for it.
package attacks
