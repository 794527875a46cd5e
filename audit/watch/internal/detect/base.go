package detect

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"math"
	"slices"
)

func exp2(x float64) float64 { return math.Exp2(x) }

// base is what a series has at each quarter-hour of the week, for the last four weeks:
// events per bin, coded in 16 bits to keep a series small.
type base [Slots * Weeks]uint16

const (
	// codeSteps per factor of e leave a resolution of 0.03%.
	codeSteps = 3000
	// codeUnit is the smallest rate that differs from none.
	codeUnit = 0.001
)

// encode keeps 0 for what is not known.
func encode(x float64) uint16 {
	return uint16(min(1+codeSteps*math.Log1p(max(x, 0)/codeUnit), math.MaxUint16))
}

func decode(c uint16) float64 { return codeUnit * math.Expm1(float64(c-1)/codeSteps) }

func (b *base) put(t Tick, rate float64) { b[t.Slot*Weeks+t.Week%Weeks] = encode(rate) }

// appendSlot appends what is known of a slot.
func (b *base) appendSlot(values []float64, slot int) []float64 {
	for _, c := range b[slot*Weeks : (slot+1)*Weeks] {
		if c != 0 {
			values = append(values, decode(c))
		}
	}
	return values
}

// at is the interquartile mean of the slot and its two neighbours over four weeks: one
// bad week of the four changes nothing. Neighbours across midnight are left out, and so
// are those on the other side of a step, such as a job that runs at a fixed time.
// Without any week to go by it takes the same time of other days.
func (b *base) at(slot int) (rate float64, known bool) {
	var own, near [3 * Weeks]float64
	mine, around := b.appendSlot(own[:0], slot), near[:0]
	for _, n := range [...]int{slot - 1, slot + 1} {
		if n >= 0 && n < Slots && n/slotsPerDay == slot/slotsPerDay {
			around = b.appendSlot(around, n)
		}
	}
	switch {
	case len(mine) == 0:
		return b.otherDays(slot)
	case len(around) == 0 || step(mine, around):
		return interquartile(mine), true
	}
	return interquartile(append(mine, around...)), true
}

// step reports whether all of one are well beyond all of the others.
func step(mine, around []float64) bool {
	return len(mine) > 1 && (slices.Min(mine) > 1.5*slices.Max(around) ||
		slices.Max(mine) < slices.Min(around)/1.5)
}

func (b *base) otherDays(slot int) (rate float64, known bool) {
	var all [7 * Weeks]float64
	values := all[:0]
	for d := range 7 {
		values = b.appendSlot(values, d*slotsPerDay+slot%slotsPerDay)
	}
	if len(values) == 0 {
		return 0, false
	}
	return interquartile(values), true
}

// interquartile is the mean of the middle half; it sorts values.
func interquartile(values []float64) float64 {
	slices.Sort(values)
	cut := len(values) / 4
	middle, sum := values[cut:len(values)-cut], 0.0
	for _, v := range middle {
		sum += v
	}
	return sum / float64(len(middle))
}

// MarshalText writes the base as two bytes per value, in base64.
func (b base) MarshalText() ([]byte, error) {
	raw := make([]byte, 0, 2*len(b))
	for _, c := range b {
		raw = binary.LittleEndian.AppendUint16(raw, c)
	}
	return base64.StdEncoding.AppendEncode(nil, raw), nil
}

// UnmarshalText reads what MarshalText wrote.
func (b *base) UnmarshalText(text []byte) error {
	raw, err := base64.StdEncoding.AppendDecode(nil, text)
	if err != nil || len(raw) != 2*len(b) {
		return errors.New("detect: not a base")
	}
	for i := range b {
		b[i] = binary.LittleEndian.Uint16(raw[2*i:])
	}
	return nil
}
