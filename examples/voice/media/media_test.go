package media_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/dtls/v3/pkg/protocol"
	"github.com/pion/dtls/v3/pkg/protocol/handshake"
	"github.com/pion/webrtc/v4"
	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/examples/voice/media"
	"github.com/opsmantik/sallyport/examples/voice/sdp"
	"github.com/opsmantik/sallyport/hmacsig/ephemeral"
)

var spoken = []byte("\xfcthis is what somebody has said in confidence")

// talk has two clients talk until both were heard, and returns what was on the wire.
func talk(t *testing.T, w *world, edit func(*webrtc.SettingEngine)) (datagrams, clear int) {
	t.Helper()
	a, b := newClient(t, "ada", nil, edit), newClient(t, "bob", nil, edit)
	for _, c := range []*client{a, b} {
		c.join(t, w)
		connected := w.event(t, media.CodeConnected)
		require.True(t, connected.Allowed)
		require.Equal(t, "shop", connected.Tenant)
		require.Equal(t, c.session.Subject, connected.Actor)
	}
	a.say(t, spoken)
	b.say(t, spoken)
	a.hears(t, spoken, 20)
	b.hears(t, spoken, 20)
	return w.wire.holding(spoken[1:])
}

// TestNothingIsSaidInTheClear looks for every 16 bytes of what is said in all that
// passes the server's socket, and proves by a NULL profile that it would find them.
func TestNothingIsSaidInTheClear(t *testing.T) {
	t.Parallel()
	t.Run("as it is", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, media.Config{})
		datagrams, found := talk(t, w, nil)
		require.Greater(t, datagrams, 80)
		require.Zero(t, found)
		for i := range len(spoken) - 16 {
			_, found := w.wire.holding(spoken[i : i+16])
			require.Zero(t, found)
		}
		t.Log(datagrams, "datagrams")
	})
	t.Run("with a NULL profile", func(t *testing.T) {
		t.Parallel()
		null := func(e *webrtc.SettingEngine) {
			e.SetSRTPProtectionProfiles(dtls.SRTP_NULL_HMAC_SHA1_80)
		}
		w := newWorld(t, media.Config{})
		media.Loosen(w.Server, null)
		_, found := talk(t, w, null)
		require.Greater(t, found, 40, "the search finds what is in the clear")
	})
}

func hello(edit func(*handshake.MessageClientHello)) func(*webrtc.SettingEngine) {
	return func(e *webrtc.SettingEngine) {
		e.SetDTLSClientHelloMessageHook(func(m handshake.MessageClientHello) handshake.Message {
			edit(&m)
			return &m
		})
	}
}

// TestHandshakesRefused: whatever the peer's half of the handshake wants, it is AES-GCM
// with its certificate, or an event and no session.
func TestHandshakesRefused(t *testing.T) {
	t.Parallel()
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	strong, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	for _, row := range []struct {
		name string
		key  crypto.PrivateKey
		edit func(*webrtc.SettingEngine)
		want string
	}{
		{"as it is", nil, nil, media.CodeConnected},
		{"RSA of 2048 bits", strong, nil, media.CodeConnected},
		{"P-384", p384, nil, media.CodeConnected},
		{"RSA of 1024 bits", weak, nil, media.CodeCertificateRefused},
		{"DTLS 1.0", nil, hello(func(m *handshake.MessageClientHello) {
			m.Version = protocol.Version{Major: 254, Minor: 255}
		}), media.CodeHandshakeRefused},
		{"NULL suites", nil, hello(func(m *handshake.MessageClientHello) {
			m.CipherSuiteIDs = []uint16{0x0000, 0x0002, 0x003b, 0xc006, 0xc010}
		}), media.CodeHandshakeRefused},
		{"CBC suites", nil, func(e *webrtc.SettingEngine) {
			e.SetDTLSCipherSuites(dtls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA)
		}, media.CodeHandshakeRefused},
		{"CCM suites", nil, func(e *webrtc.SettingEngine) {
			e.SetDTLSCipherSuites(dtls.TLS_ECDHE_ECDSA_WITH_AES_128_CCM)
		}, media.CodeHandshakeRefused},
		{"no extended master secret", nil, func(e *webrtc.SettingEngine) {
			e.SetDTLSExtendedMasterSecret(dtls.DisableExtendedMasterSecret)
		}, media.CodeHandshakeRefused},
		{"SRTP with CM and SHA-1", nil, func(e *webrtc.SettingEngine) {
			e.SetSRTPProtectionProfiles(dtls.SRTP_AES128_CM_HMAC_SHA1_80)
		}, media.CodeHandshakeRefused},
		{"SRTP with NULL", nil, func(e *webrtc.SettingEngine) {
			e.SetSRTPProtectionProfiles(dtls.SRTP_NULL_HMAC_SHA1_80)
		}, media.CodeHandshakeRefused},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, media.Config{Handshake: 3 * time.Second})
			newClient(t, "ada", row.key, row.edit).join(t, w)
			e := w.event(t, row.want)
			require.Equal(t, row.want == media.CodeConnected, e.Allowed)
			require.Equal(t, e.Allowed, e.Err == nil)
			require.Equal(t, "ada", e.Actor)
			if !e.Allowed {
				t.Log(e.Err)
				require.Zero(t, w.Len())
			}
		})
	}
}

// TestAnotherCertificate: the offer names the token's certificate, and the handshake
// brings another one.
func TestAnotherCertificate(t *testing.T) {
	t.Parallel()
	w := newWorld(t, media.Config{Handshake: 3 * time.Second})
	thief, owner := newClient(t, "thief", nil, nil), newClient(t, "ada", nil, nil)
	own, stolen := sdp.Fingerprint(thief.session.Certificate), sdp.Fingerprint(owner.session.Certificate)
	offer := strings.ReplaceAll(thief.offer(t, nil), own, stolen)
	answer, err := w.Offer(t.Context(), owner.session, offer)
	require.NoError(t, err, "the description is as it should be")
	w.event(t, media.CodeJoined)
	thief.answer(t, answer)
	e := w.event(t, media.CodeHandshakeRefused)
	require.Error(t, e.Err)
	require.Zero(t, w.Len())
}

// TestTheCertificateIsCheckedAgain: what pion itself checks may be off.
func TestTheCertificateIsCheckedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, media.Config{})
	media.Loosen(w.Server, func(e *webrtc.SettingEngine) {
		e.DisableCertificateFingerprintVerification(true)
	})
	thief, owner := newClient(t, "thief", nil, nil), newClient(t, "ada", nil, nil)
	offer := strings.ReplaceAll(thief.offer(t, nil),
		sdp.Fingerprint(thief.session.Certificate), sdp.Fingerprint(owner.session.Certificate))
	answer, err := w.Offer(t.Context(), owner.session, offer)
	require.NoError(t, err)
	w.event(t, media.CodeJoined)
	thief.answer(t, answer)
	require.ErrorContains(t, w.event(t, media.CodeCertificateRefused).Err, "token")
}

func requireRefused(t *testing.T, err error, code string) *sallyport.Refusal {
	t.Helper()
	refused, ok := errors.AsType[*sallyport.Refusal](err)
	require.True(t, ok, err)
	require.Equal(t, code, refused.Code, refused.Err)
	return refused
}

func TestRenegotiation(t *testing.T) {
	t.Parallel()
	w := newWorld(t, media.Config{})
	a, b := newClient(t, "ada", nil, nil), newClient(t, "bob", nil, nil)
	for _, c := range []*client{a, b} {
		c.join(t, w)
		w.event(t, media.CodeConnected)
	}
	// With another certificate in the text it is refused, and the session goes on.
	restart := a.offer(t, &webrtc.OfferOptions{ICERestart: true})
	changed := strings.ReplaceAll(restart,
		sdp.Fingerprint(a.session.Certificate), sdp.Fingerprint(b.session.Certificate))
	_, err := w.Offer(t.Context(), a.session, changed)
	refused := requireRefused(t, err, media.CodeDescriptionRefused)
	require.Equal(t, 422, refused.Status)
	require.Equal(t, sdp.RuleFingerprint, refused.Members["rule"])
	require.NotZero(t, refused.Members["line"])
	e := w.event(t, media.CodeDescriptionRefused)
	require.Equal(t, sdp.RuleFingerprint, e.Policy)
	// In the clear, too.
	_, err = w.Offer(t.Context(), a.session, strings.ReplaceAll(restart, "UDP/TLS/RTP/SAVPF", "RTP/AVP"))
	requireRefused(t, err, media.CodeDescriptionRefused)
	w.event(t, media.CodeDescriptionRefused)
	// As it is it is taken.
	answer, err := w.Offer(t.Context(), a.session, restart)
	require.NoError(t, err)
	w.event(t, media.CodeRenegotiated)
	a.answer(t, answer)
	require.Equal(t, 2, w.Len())
	a.say(t, spoken)
	b.hears(t, spoken, 5)
}

func TestRooms(t *testing.T) {
	t.Parallel()
	w := newWorld(t, media.Config{MaxSessions: 3})
	offer := func(user, site, room string) error {
		c := newClient(t, user, nil, nil)
		c.session.Site, c.session.Room = site, room
		_, err := w.Offer(t.Context(), c.session, c.offer(t, nil))
		<-w.events
		return err
	}
	require.NoError(t, offer("ada", "shop", "r1"))
	require.NoError(t, offer("bob", "shop", "r1"))
	requireRefused(t, offer("eve", "shop", "r1"), media.CodeRoomFull)
	require.NoError(t, offer("eve", "other", "r1"), "the same name in another site")
	requireRefused(t, offer("dan", "shop", "r2"), media.CodeBusy)
}

func TestRevocation(t *testing.T) {
	t.Parallel()
	w := newWorld(t, media.Config{})
	a, b := newClient(t, "ada", nil, nil), newClient(t, "bob", nil, nil)
	for _, c := range []*client{a, b} {
		c.join(t, w)
		w.event(t, media.CodeConnected)
		c.connects(t)
	}
	w.RevokeToken(a.session.ID)
	require.Equal(t, "ada", w.event(t, media.CodeRevoked).Actor)
	require.Equal(t, 1, w.Len())
	w.RevokeUser("bob")
	require.Equal(t, "bob", w.event(t, media.CodeRevoked).Actor)
	require.Zero(t, w.Len())
	for _, c := range []*client{a, b} {
		require.Eventually(t, func() bool {
			return c.ConnectionState() == webrtc.PeerConnectionStateClosed
		}, 20*time.Second, 20*time.Millisecond, "the peer is told")
		again := newClient(t, c.session.Subject, nil, nil)
		if c == a { // the token again; of bob any token of before
			again.session.ID = a.session.ID
		} else {
			again.session.ID = "another"
		}
		again.session.Expires = c.session.Expires
		_, err := w.Offer(t.Context(), again.session, again.offer(t, nil))
		requireRefused(t, err, media.CodeRevoked)
		w.event(t, media.CodeRevoked)
	}
	later := newClient(t, "bob", nil, nil)
	later.session.Expires = time.Now().Add(5*time.Minute + time.Second)
	later.session.ID = "later"
	later.join(t, w)
}

func TestThePeerLeaves(t *testing.T) {
	t.Parallel()
	w := newWorld(t, media.Config{})
	a := newClient(t, "ada", nil, nil)
	a.join(t, w)
	w.event(t, media.CodeConnected)
	a.connects(t)
	require.NoError(t, a.Close())
	require.True(t, w.event(t, media.CodeEnded).Detail.(*media.Decision).Ended)
	require.Zero(t, w.Len())
}

// TestNobodyComes: an offer without a handshake holds its place for so long.
func TestNobodyComes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, media.Config{Handshake: time.Second})
	c := newClient(t, "ada", nil, nil)
	_, err := w.Offer(t.Context(), c.session, c.offer(t, nil))
	require.NoError(t, err)
	w.event(t, media.CodeJoined)
	w.event(t, media.CodeHandshakeRefused)
	require.Zero(t, w.Len())
}

// special are addresses that nobody may have the server send to.
var special = []string{
	"0.0.0.0", "127.0.0.1", "10.0.0.1", "100.64.0.1", "169.254.169.254", "172.16.0.1", "192.0.0.8",
	"192.168.0.1", "192.0.2.1", "198.18.0.1", "203.0.113.1", "224.0.0.1", "240.0.0.1",
	"255.255.255.255", "::", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::",
	"2001:db8::1", "fe80::1", "fc00::1", "ff02::1",
}

// TestNothingIsSentToCandidates, and pion as it comes does send.
func TestNothingIsSentToCandidates(t *testing.T) {
	t.Parallel()
	victim := newWire(t)
	t.Cleanup(func() { _ = victim.Close() })
	_, port, _ := strings.Cut(victim.LocalAddr().String(), ":")
	c := newClient(t, "ada", nil, nil)
	var lines strings.Builder
	for _, addr := range special {
		lines.WriteString("a=candidate:9 1 udp 2122260223 " + addr + " " + port + " typ host\r\n")
	}
	offer := strings.Replace(c.offer(t, nil), "a=rtcp-mux\r\n", "a=rtcp-mux\r\n"+lines.String(), 1)
	require.Contains(t, offer, "224.0.0.1")

	w := newWorld(t, media.Config{Handshake: 2 * time.Second})
	_, err := w.Offer(t.Context(), c.session, offer)
	require.NoError(t, err)
	w.event(t, media.CodeJoined)
	w.event(t, media.CodeHandshakeRefused) // two seconds later
	require.Zero(t, w.wire.sent())

	plain := newWire(t)
	e := webrtc.SettingEngine{}
	e.SetICEUDPMux(webrtc.NewICEUDPMux(nil, plain))
	e.SetIncludeLoopbackCandidate(true)
	pc, err := webrtc.NewAPI(webrtc.WithSettingEngine(e)).NewPeerConnection(webrtc.Configuration{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = pc.Close() })
	require.NoError(t, pc.SetRemoteDescription(webrtc.SessionDescription{
		Type: webrtc.SDPTypeOffer, SDP: offer,
	}))
	answer, err := pc.CreateAnswer(nil)
	require.NoError(t, err)
	require.NoError(t, pc.SetLocalDescription(answer))
	require.Eventually(t, func() bool { return plain.sent() > 0 }, 20*time.Second, 10*time.Millisecond,
		"as it comes, pion sends")
}

func TestNothingHappensUnrecorded(t *testing.T) {
	t.Parallel()
	full := errors.New("the disk is full")
	w := newWorld(t, media.Config{Record: func(_ context.Context, e sallyport.Event) error {
		if e.Allowed {
			return full
		}
		return nil
	}})
	c := newClient(t, "ada", nil, nil)
	_, err := w.Offer(t.Context(), c.session, c.offer(t, nil))
	require.ErrorIs(t, requireRefused(t, err, media.CodeNotRecorded), full)
	w.event(t, media.CodeNotRecorded)
	require.Zero(t, w.Len())
}

func TestZero(t *testing.T) {
	t.Parallel()
	for _, s := range []*media.Server{nil, {}} {
		_, err := s.Offer(t.Context(), newClient(t, "ada", nil, nil).session, "")
		require.Equal(t, 503, requireRefused(t, err, media.CodeNotConfigured).Status)
	}
}

// tape keeps what a sink gets.
type tape struct {
	call   string
	heard  chan []byte
	closed chan struct{}
	err    error
}

func (s *tape) Write(_ uint16, _ uint32, opus []byte) error {
	s.heard <- bytes.Clone(opus)
	return s.err
}

func (s *tape) Close() error { close(s.closed); return nil }

func TestAudioReachesTheSink(t *testing.T) {
	t.Parallel()
	tapes := make(chan *tape, 10)
	w := newWorld(t, media.Config{
		Audio: func(_ context.Context, call string, _ ephemeral.Session) (media.Sink, error) {
			s := &tape{call: call, heard: make(chan []byte, 10_000), closed: make(chan struct{})}
			tapes <- s
			return s, nil
		},
	})
	a, b := newClient(t, "ada", nil, nil), newClient(t, "bob", nil, nil)
	for _, c := range []*client{a, b} {
		c.join(t, w)
		w.event(t, media.CodeConnected)
		c.say(t, spoken)
	}
	require.Eventually(t, func() bool { return len(tapes) == 2 }, 20*time.Second, 10*time.Millisecond)
	first, second := <-tapes, <-tapes
	require.Equal(t, first.call, second.call)
	require.Len(t, first.call, 22)
	require.Equal(t, spoken, <-first.heard)
	require.Equal(t, spoken, <-second.heard)
	require.NoError(t, a.Close())
	w.event(t, media.CodeEnded)
	w.RevokeUser("bob")
	w.event(t, media.CodeRevoked)
	<-first.closed
	<-second.closed
}

// TestNobodyTalksUnrecorded: what cannot be recorded any more is cut off.
func TestNobodyTalksUnrecorded(t *testing.T) {
	t.Parallel()
	full := errors.New("the disk is full")
	w := newWorld(t, media.Config{
		Audio: func(context.Context, string, ephemeral.Session) (media.Sink, error) {
			return &tape{heard: make(chan []byte, 10_000), closed: make(chan struct{}), err: full}, nil
		},
	})
	a := newClient(t, "ada", nil, nil)
	a.join(t, w)
	w.event(t, media.CodeConnected)
	a.say(t, spoken)
	require.ErrorIs(t, w.event(t, media.CodeMediaFailed).Err, full)
	require.Zero(t, w.Len())
}
