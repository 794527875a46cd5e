package engine

import "io"

// Stream scrubs a text that comes in pieces. It is not safe for concurrent use.
type Stream struct {
	buf []byte
	pos int // buf[:pos] has been examined
	sc  scanner
}

// NewStream returns a Stream of e.
func (e *Engine) NewStream() *Stream { return &Stream{sc: scanner{e: e}} }

// pieceSize bounds how much of one Write is examined at a time.
const pieceSize = 32 << 10

// Write examines p and writes to w what is decided.
func (st *Stream) Write(w io.Writer, p []byte) error {
	for len(p) > 0 {
		piece := p[:min(len(p), pieceSize)]
		st.buf = append(st.buf, piece...)
		if err := st.advance(w, false); err != nil {
			return err
		}
		p = p[len(piece):]
	}
	return nil
}

// Close writes what was held back.
func (st *Stream) Close(w io.Writer) error { return st.advance(w, true) }

// Counts returns the counts so far.
func (st *Stream) Counts() Counts { return st.sc.counts }

func (st *Stream) advance(w io.Writer, last bool) error {
	sc := &st.sc
	// The string lives until the end of this call; buf changes only after.
	sc.text = Unsafe(st.buf)
	sc.more = !last
	sc.dst = sc.dst[:0]
	limit := len(st.buf)
	if !last {
		limit -= lookahead
	}
	if st.pos < limit {
		st.pos = sc.scan(st.pos, limit)
	}
	settled := len(st.buf)
	if last {
		sc.finish()
	} else {
		settled = max(0, min(st.pos-lookbehind, limit))
		if sc.held && sc.pend.end <= settled {
			sc.flush()
		}
		if !sc.held && sc.done < settled {
			sc.dst = append(sc.dst, sc.text[sc.done:settled]...)
			sc.done = settled
		}
	}
	var err error
	if len(sc.dst) > 0 {
		_, err = w.Write(sc.dst)
	}
	cut := min(settled, sc.done)
	st.buf = st.buf[:copy(st.buf, st.buf[cut:])]
	st.pos -= cut
	sc.done -= cut
	sc.noJWT -= cut
	sc.pend.start -= cut
	sc.pend.end -= cut
	sc.src, sc.text = "", ""
	return err
}
