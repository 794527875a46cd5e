package publish

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// cosign asks all witnesses and returns the checkpoint with what they answered.
func (p *Publisher) cosign(ctx context.Context, tree tlog.Tree, checkpoint []byte) ([]byte, error) {
	if len(p.cfg.Witnesses) == 0 {
		return checkpoint, nil
	}
	ctx, cancel := context.WithTimeout(ctx, p.cfg.WitnessTimeout)
	defer cancel()
	lines := make([][]byte, len(p.cfg.Witnesses))
	errs := make([]error, len(p.cfg.Witnesses))
	var all sync.WaitGroup
	for i, w := range p.cfg.Witnesses {
		all.Go(func() { lines[i], errs[i] = p.ask(ctx, w, tree, checkpoint) })
	}
	all.Wait()
	verifiers := make([]note.Verifier, len(p.cfg.Witnesses))
	for i, w := range p.cfg.Witnesses {
		verifiers[i] = w.Verifier
		if errs[i] != nil {
			errs[i] = fmt.Errorf("%s: %w", w.URL, errs[i])
		}
	}
	if err := errors.Join(errs...); errors.Is(err, ErrInconsistent) {
		return nil, err
	}
	cosigned := append(bytes.Clone(checkpoint), bytes.Join(lines, nil)...)
	_, err := ParseCheckpoint(cosigned, p.cfg.Origin, p.cfg.Verifier, p.cfg.Quorum, verifiers...)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnwitnessed, errors.Join(errs...))
	}
	return cosigned, nil
}

// ask returns the signature lines of one witness. The first question names the size
// of the empty tree; a witness that knows more answers 409 with the size it knows, and
// the second one proves consistency with that.
func (p *Publisher) ask(
	ctx context.Context, w Witness, tree tlog.Tree, checkpoint []byte,
) ([]byte, error) {
	var known int64
	for range 2 {
		request, err := p.question(known, tree, checkpoint)
		if err != nil {
			return nil, err
		}
		status, answer, err := p.post(ctx, w.URL+"/add-checkpoint", request)
		switch {
		case err != nil:
			return nil, err
		case status == http.StatusOK:
			return ownLines(answer, checkpoint, w.Verifier)
		case status == http.StatusUnprocessableEntity:
			return nil, fmt.Errorf("%w: so says the witness", ErrInconsistent)
		case status != http.StatusConflict:
			return nil, fmt.Errorf("status %d", status)
		}
		if known, err = parseSize(answer); err != nil {
			return nil, err
		}
		if known > tree.N {
			return nil, fmt.Errorf("%w: the witness saw %d entries, the log has %d",
				ErrInconsistent, known, tree.N)
		}
	}
	return nil, errors.New("the witness changes its mind")
}

// parseSize reads the body of a 409.
func parseSize(answer []byte) (int64, error) {
	size, err := strconv.ParseInt(strings.TrimSuffix(string(answer), "\n"), 10, 64)
	if err != nil || size < 0 {
		return 0, errors.New("a conflict without a size")
	}
	return size, nil
}

// question is the body of add-checkpoint.
func (p *Publisher) question(known int64, tree tlog.Tree, checkpoint []byte) ([]byte, error) {
	b := fmt.Appendf(nil, "old %d\n", known)
	if known > 0 && known < tree.N {
		proof, err := tlog.ProveTree(tree.N, known, tlog.TileHashReader(tree, p.files.tiles()))
		if err != nil {
			return nil, err
		}
		for _, hash := range proof {
			b = append(base64.StdEncoding.AppendEncode(b, hash[:]), '\n')
		}
	}
	return append(append(b, '\n'), checkpoint...), nil
}

func (p *Publisher) post(ctx context.Context, url string, body []byte) (int, []byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	response, err := p.cfg.Client.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxNote))
	return response.StatusCode, answer, err
}

// ownLines keeps the lines of the answer that the witness's key made, and drops those
// of others: they are nothing that this log vouches for.
func ownLines(answer, checkpoint []byte, witness note.Verifier) ([]byte, error) {
	text, _, _ := bytes.Cut(checkpoint, []byte("\n\n"))
	whole := append(append(bytes.Clone(text), "\n\n"...), answer...)
	n, err := note.Open(whole, note.VerifierList(witness))
	if err != nil {
		return nil, err
	}
	var lines []byte
	for _, sig := range n.Sigs {
		lines = fmt.Appendf(lines, "— %s %s\n", sig.Name, sig.Base64)
	}
	return lines, nil
}
