package media_test

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"
	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/examples/voice/media"
	"github.com/opsmantik/sallyport/examples/voice/sdp"
	"github.com/opsmantik/sallyport/hmacsig/ephemeral"
)

// TestOnlyAudioIsOpened: video and data of an offer are closed in the answer, and the
// peers talk.
func TestOnlyAudioIsOpened(t *testing.T) {
	t.Parallel()
	w := newWorld(t, media.Config{})
	a, b := newClient(t, "ada", nil, nil), newClient(t, "bob", nil, nil)
	_, err := a.AddTransceiverFromKind(webrtc.RTPCodecTypeVideo, webrtc.RTPTransceiverInit{
		Direction: webrtc.RTPTransceiverDirectionRecvonly,
	})
	require.NoError(t, err)
	_, err = a.CreateDataChannel("chat", nil)
	require.NoError(t, err)
	for _, c := range []*client{a, b} {
		c.join(t, w)
		w.event(t, media.CodeConnected)
	}
	answer := a.RemoteDescription().SDP
	require.Contains(t, answer, "m=video 0 ")
	require.Contains(t, answer, "m=application 0 ")
	a.say(t, spoken)
	b.say(t, spoken)
	a.hears(t, spoken, 5)
	b.hears(t, spoken, 5)
}

var anyPrint = regexp.MustCompile(`(?i)a=fingerprint:sha-256 ([0-9A-F]{2}(?::[0-9A-F]{2}){31})`)

// TestForeignOffersAreAnswered hands pion what package sdp made of every offer that it
// accepts from the folder that SALLYPORT_SDP_CORPUS names.
func TestForeignOffersAreAnswered(t *testing.T) {
	t.Parallel()
	dir := os.Getenv("SALLYPORT_SDP_CORPUS")
	if dir == "" {
		t.Skip("SALLYPORT_SDP_CORPUS names no folder")
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.sdp"))
	require.NoError(t, err)
	w := newWorld(t, media.Config{})
	answered := 0
	for _, name := range files {
		raw, err := os.ReadFile(name)
		require.NoError(t, err)
		m := anyPrint.FindStringSubmatch(string(raw))
		if m == nil {
			continue
		}
		sum, err := hex.DecodeString(strings.ReplaceAll(m[1], ":", ""))
		require.NoError(t, err)
		if _, err := sdp.Read(sdp.Offer, string(raw), [32]byte(sum)); err != nil {
			continue
		}
		answer, err := w.Offer(t.Context(), ephemeral.Session{
			Site: "shop", Room: filepath.Base(name), Subject: "ada", Certificate: [32]byte(sum),
			ID: filepath.Base(name), Expires: time.Now().Add(time.Minute),
		}, string(raw))
		require.NoError(t, err, name)
		require.Contains(t, answer, "a=setup:passive", name)
		answered++
	}
	require.Greater(t, answered, 20)
	t.Log(answered)
}
