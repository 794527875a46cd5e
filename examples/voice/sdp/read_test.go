package sdp_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/examples/voice/sdp"
)

func TestAccepted(t *testing.T) {
	t.Parallel()
	for _, row := range accepted {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			d, err := sdp.Read(row.kind, row.text, cert)
			require.NoError(t, err)
			requireOurs(t, row.kind, d)
		})
	}
}

// requireOurs holds what is handed to WebRTC to everything that is promised of it, in
// the plainest way: by looking for texts.
func requireOurs(t *testing.T, kind sdp.Kind, d *sdp.Description) {
	t.Helper()
	text := d.String()
	for line := range strings.Lines(text) {
		require.Regexp(t, ours, line)
	}
	require.Equal(t, 1, strings.Count(text, "a=fingerprint:"))
	require.Contains(t, text, "a=fingerprint:sha-256 "+d.Fingerprint+"\r\n")
	require.Equal(t, 1, strings.Count(text, "m=audio 9 UDP/TLS/RTP/SAVPF "))
	require.Equal(t, len(d.Sections), strings.Count(text, "\r\nm="))
	require.Equal(t, len(d.Sections)-1, strings.Count(text, " 0 UDP/"), "the others are closed")
	if kind != sdp.OwnAnswer {
		require.NotContains(t, text, "a=candidate")
		require.NotContains(t, text, "a=ice-lite")
	}
	hash, err := hex.DecodeString(strings.ReplaceAll(d.Fingerprint, ":", ""))
	require.NoError(t, err)
	again, err := sdp.Read(kind, text, [32]byte(hash))
	require.NoError(t, err)
	require.Equal(t, text, again.String())
}

// ours is every line that a description of ours may have.
var ours = regexp.MustCompile(`^(v=0|o=- \d+ \d+ IN IP4 0\.0\.0\.0|s=-|t=0 0|a=group:BUNDLE \S+` +
	`|a=ice-lite|a=candidate:.*|a=fingerprint:sha-256 [0-9A-F]{2}(:[0-9A-F]{2}){31}` +
	`|m=audio 9 UDP/TLS/RTP/SAVPF \d+|m=(audio|video|text|message) 0 UDP/TLS/RTP/SAVPF 0` +
	`|m=application 0 UDP/DTLS/SCTP webrtc-datachannel|c=IN IP4 0\.0\.0\.0|a=mid:\S+` +
	`|a=(sendrecv|sendonly|recvonly|inactive)|a=setup:(actpass|active|passive)` +
	`|a=ice-ufrag:[A-Za-z0-9+/]{4,256}|a=ice-pwd:[A-Za-z0-9+/]{22,256}|a=rtcp-mux` +
	`|a=rtpmap:\d+ opus/48000/2|a=fmtp:\d+ minptime=10;useinbandfec=1|a=ssrc:\d+ cname:voice)\r\n$`)

func TestDescription(t *testing.T) {
	t.Parallel()
	d, err := sdp.Read(sdp.Offer, video, cert)
	require.NoError(t, err)
	require.Equal(t, &sdp.Description{
		ID: 4611731400430051336, Version: 2, Fingerprint: print, Bundle: true, Audio: 0,
		Sections: []sdp.Section{
			{
				Media: "audio", Mid: "0", Direction: sdp.SendRecv, Setup: "actpass", Ufrag: "Xk2F",
				Pwd: "9uQn3cVrD1m5GfYxW0ZtB7ea", Opus: 111, SSRC: 3735928559,
			},
			{Media: "video", Mid: "1"},
			{Media: "application", Mid: "2"},
		},
	}, d)
	require.Equal(t, shape(`
v=0
o=- 4611731400430051336 2 IN IP4 0.0.0.0
s=-
t=0 0
a=group:BUNDLE 0
a=fingerprint:sha-256 PRINT
m=audio 9 UDP/TLS/RTP/SAVPF 111
c=IN IP4 0.0.0.0
a=mid:0
a=sendrecv
a=setup:actpass
a=ice-ufrag:Xk2F
a=ice-pwd:9uQn3cVrD1m5GfYxW0ZtB7ea
a=rtcp-mux
a=rtpmap:111 opus/48000/2
a=fmtp:111 minptime=10;useinbandfec=1
a=ssrc:3735928559 cname:voice
m=video 0 UDP/TLS/RTP/SAVPF 0
c=IN IP4 0.0.0.0
a=mid:1
a=inactive
m=application 0 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=mid:2
a=inactive
`), d.String())
}

const fingerprintLine = "a=fingerprint:sha-256 "

// hostile are descriptions that are refused: what is edited, and which line is to blame.
// Without at, no single line is.
var hostile = []struct {
	name     string
	text     string
	rule, at string
}{
	{"RTP/AVP", edit(chromium, "UDP/TLS/RTP/SAVPF", "RTP/AVP"), sdp.RuleProfile, "m=audio"},
	{"RTP/AVPF", edit(chromium, "UDP/TLS/RTP/SAVPF", "RTP/AVPF"), sdp.RuleProfile, "m=audio"},
	{"RTP/SAVP", edit(chromium, "UDP/TLS/RTP/SAVPF", "RTP/SAVP"), sdp.RuleProfile, "m=audio"},
	{"RTP/SAVPF", edit(chromium, "UDP/TLS/RTP/SAVPF", "RTP/SAVPF"), sdp.RuleProfile, "m=audio"},
	{
		"SAVP under DTLS", edit(chromium, "TLS/RTP/SAVPF", "TLS/RTP/SAVP"),
		sdp.RuleProfile, "m=audio",
	},
	{"over TCP", edit(chromium, "UDP/TLS/RTP", "TCP/TLS/RTP"), sdp.RuleProfile, "m=audio"},
	{"in small letters", edit(chromium, "UDP/TLS/RTP", "udp/tls/rtp"), sdp.RuleProfile, "m=audio"},
	{"data in the clear", edit(video, "UDP/DTLS/SCTP", "SCTP"), sdp.RuleProfile, "m=application"},
	{
		"data over TCP", edit(video, "UDP/DTLS/SCTP", "TCP/DTLS/SCTP"),
		sdp.RuleProfile, "m=application",
	},
	{
		"the second section in the clear",
		edit(video, "m=video 9 UDP/TLS/RTP/SAVPF", "m=video 9 RTP/AVP"), sdp.RuleProfile, "m=video",
	},
	{
		"a closed section in the clear",
		edit(video, "m=video 9 UDP/TLS/RTP/SAVPF", "m=video 0 RTP/AVP"), sdp.RuleProfile, "m=video",
	},
	{
		"a key for the session", edit(chromium, "t=0 0", "t=0 0\r\nk=base64:c2VjcmV0"),
		sdp.RuleKey, "k=",
	},
	{"a key for the audio", edit(chromium, "a=rtcp:9", "k=prompt\r\na=rtcp:9"), sdp.RuleKey, "k="},
	{
		"SDES beside the fingerprint", edit(chromium, "a=setup", "a=crypto:1 "+
			"AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj\r\na=setup"),
		sdp.RuleKey, "a=crypto",
	},
	{
		"SDES for the session",
		edit(firefox, "a=ice-options", "a=crypto:1 NULL inline:AA\r\na=ice-options"), sdp.RuleKey, "a=crypto",
	},
	{
		"MIKEY", edit(chromium, "a=setup", "a=key-mgmt:mikey AQAF\r\na=setup"),
		sdp.RuleKey, "a=key-mgmt",
	},
	{
		"RTP/AVP as an alternative", edit(chromium, "a=setup", "a=tcap:1 RTP/AVP\r\na=setup"),
		sdp.RuleAlternative, "a=tcap",
	},
	{
		"a potential configuration", edit(chromium, "a=setup", "a=pcfg:1 t=1\r\na=setup"),
		sdp.RuleAlternative, "a=pcfg",
	},
	{
		"an alternative attribute", edit(firefox, "a=ice-options", "a=acap:1 crypto:1 X\r\na=ice-options"),
		sdp.RuleAlternative, "a=acap",
	},
	{
		"no fingerprint", edit(chromium, fingerprintLine+print+"\r\n", ""),
		sdp.RuleFingerprint, "m=audio",
	},
	{
		"no fingerprint for the second section", edit(video, "a=mid:0", "a=mid:0x", // the audio keeps its own
			"webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:Xk2F\r\na=ice-pwd:9uQn3cVrD1m5GfYxW0ZtB7ea\r\n"+
				fingerprintLine+print, "webrtc-datachannel\r\na=ice-ufrag:Xk2F\r\na=ice-pwd:9uQn3cVrD1m5GfYxW0ZtB7ea"),
		sdp.RuleFingerprint, "m=application",
	},
	{"another certificate", edit(chromium, print, wrong), sdp.RuleFingerprint, fingerprintLine},
	{
		"another certificate for the session",
		edit(chromium, "t=0 0", "t=0 0\r\n"+fingerprintLine+wrong), sdp.RuleFingerprint, fingerprintLine + wrong,
	},
	{
		"another certificate for the audio",
		edit(firefox, "a=rtcp-mux", fingerprintLine+wrong+"\r\na=rtcp-mux"),
		sdp.RuleFingerprint, fingerprintLine + wrong,
	},
	{
		"another certificate in a section that is not used",
		strings.TrimSuffix(video, "\r\n") + "\r\n" + fingerprintLine + wrong,
		sdp.RuleFingerprint, fingerprintLine + wrong,
	},
	{
		"a closed section's other certificate", edit(chromium, "m=audio", "m=video 0 UDP/TLS/RTP/SAVPF 0\r\n"+
			"a=mid:x\r\n"+fingerprintLine+wrong+"\r\nm=audio"), sdp.RuleFingerprint, fingerprintLine + wrong,
	},
	{
		"SHA-1", edit(chromium, "sha-256 "+print, "sha-1 "+print[:59]),
		sdp.RuleFingerprint, "a=fingerprint",
	},
	{
		"MD5", edit(chromium, "sha-256 "+print, "md5 "+print[:47]),
		sdp.RuleFingerprint, "a=fingerprint",
	},
	{"SHA-512", edit(chromium, "sha-256", "sha-512"), sdp.RuleFingerprint, "a=fingerprint"},
	{
		"SHA-1 beside SHA-256", edit(chromium, "a=setup", "a=fingerprint:sha-1 "+print[:59]+"\r\na=setup"),
		sdp.RuleFingerprint, "a=fingerprint:sha-1",
	},
	{
		"half a fingerprint", edit(chromium, print, print[:47]),
		sdp.RuleFingerprint, fingerprintLine,
	},
	{
		"a fingerprint and more", edit(chromium, print, print+":00"),
		sdp.RuleFingerprint, fingerprintLine,
	},
	{
		"two fingerprints in a line", edit(chromium, print, print+" "+wrong),
		sdp.RuleFingerprint, fingerprintLine,
	},
	{
		"an empty fingerprint", edit(chromium, fingerprintLine+print, "a=fingerprint"),
		sdp.RuleFingerprint, "a=fingerprint",
	},
	{"an offer that is active", edit(chromium, "actpass", "active"), sdp.RuleSetup, "a=setup"},
	{"an offer that is passive", edit(chromium, "actpass", "passive"), sdp.RuleSetup, "a=setup"},
	{"an offer on hold", edit(chromium, "actpass", "holdconn"), sdp.RuleSetup, "a=setup"},
	{"no role", edit(chromium, "a=setup:actpass\r\n", ""), sdp.RuleSetup, "m=audio"},
	{
		"another lite agent", edit(chromium, "t=0 0", "t=0 0\r\na=ice-lite"),
		sdp.RuleICELite, "a=ice-lite",
	},
	{
		"no ICE password", edit(chromium, "a=ice-pwd:9uQn3cVrD1m5GfYxW0ZtB7ea\r\n", ""),
		sdp.RuleICE, "m=audio",
	},
	{"no ICE name", edit(chromium, "a=ice-ufrag:Xk2F\r\n", ""), sdp.RuleICE, "m=audio"},
	{
		"a short ICE password", edit(chromium, "9uQn3cVrD1m5GfYxW0ZtB7ea", "9uQn3cVrD1m5GfYxW0ZtB"),
		sdp.RuleICE, "a=ice-pwd",
	},
	{
		"a space in an ICE password", edit(chromium, "9uQn3cVrD1m5", "9uQn3cVr D1m5"),
		sdp.RuleICE, "a=ice-pwd",
	},
	{
		"two ICE passwords", edit(chromium, "a=setup", "a=ice-pwd:"+strings.Repeat("x", 22)+"\r\na=setup"),
		sdp.RuleRepeated, "a=ice-pwd:xxx",
	},
	{
		"a long ICE name", edit(chromium, "Xk2F", strings.Repeat("x", 257)),
		sdp.RuleICE, "a=ice-ufrag",
	},
	{"RTCP on a port of its own", edit(chromium, "a=rtcp-mux\r\n", ""), sdp.RuleMux, "m=audio"},
	{
		"two directions", edit(chromium, "a=rtcp-mux", "a=sendonly\r\na=rtcp-mux"),
		sdp.RuleDirection, "a=sendonly",
	},
	{"no mid", edit(chromium, "a=mid:0\r\n", ""), sdp.RuleMid, "m=audio"},
	{"one mid for two", edit(video, "a=mid:1", "a=mid:0"), sdp.RuleMid, ""},
	{"a mid with a space", edit(chromium, "a=mid:0", "a=mid:0 1"), sdp.RuleMid, "a=mid"},
	{
		"an endless mid", edit(chromium, "a=mid:0", "a=mid:"+strings.Repeat("0", 65)),
		sdp.RuleMid, "a=mid",
	},
	{
		"two codecs, one number", edit(chromium, "a=rtpmap:63 red", "a=rtpmap:111 red"),
		sdp.RuleCodec, "a=rtpmap:111 red",
	},
	{
		"no Opus", edit(chromium, "a=rtpmap:111 opus/48000/2", "a=rtpmap:111 PCMU/8000"),
		sdp.RuleCodec, "m=audio",
	},
	{
		"Opus in the place of RTCP", edit(chromium, "SAVPF 111", "SAVPF 72", "rtpmap:111", "rtpmap:72"),
		sdp.RuleCodec, "m=audio",
	},
	{
		"Opus beyond the numbers", edit(chromium, "SAVPF 111", "SAVPF 239", "rtpmap:111", "rtpmap:239"),
		sdp.RuleCodec, "m=audio",
	},
	{
		"half a codec", edit(chromium, "a=rtpmap:63 red/48000/2", "a=rtpmap:63"),
		sdp.RuleSyntax, "a=rtpmap:63",
	},
	{"no audio", edit(chromium, "m=audio", "m=video"), sdp.RuleNoAudio, ""},
	{"audio that is closed", edit(chromium, "m=audio 54609", "m=audio 0"), sdp.RuleNoAudio, ""},
	{"nothing", "", sdp.RuleOrder, ""},
	{"a page", "<html>\r\n", sdp.RuleSyntax, ""},
	{"JSON", `{"type":"offer"}`, sdp.RuleSyntax, ""},
	{"version 1", edit(chromium, "v=0", "v=1"), sdp.RuleSyntax, "v=1"},
	{"a version below it", edit(chromium, "s=-", "v=0\r\ns=-"), sdp.RuleOrder, ""},
	{
		"a second session", edit(chromium, "a=rtcp:9", "o=- 1 1 IN IP4 0.0.0.0\r\na=rtcp:9"),
		sdp.RuleOrder, "o=- 1 1",
	},
	{"an unknown line", edit(chromium, "t=0 0", "t=0 0\r\nx=1"), sdp.RuleOrder, "x=1"},
	{
		"an origin of five", edit(chromium, " IN IP4 127.0.0.1", " IP4 127.0.0.1"),
		sdp.RuleSyntax, "o=",
	},
	{"a negative version", edit(chromium, "336 2 IN", "336 -2 IN"), sdp.RuleSyntax, "o="},
	{
		"a session id in words", edit(chromium, "- 4611731400430051336", "- me"),
		sdp.RuleSyntax, "o=",
	},
	{
		"a carriage return within", edit(chromium, "a=setup", "a=x:\ra=setup"),
		sdp.RuleSyntax, "a=x",
	},
	{"a NUL", edit(chromium, "s=-", "s=-\x00"), sdp.RuleSyntax, "s="},
	{"an empty line", edit(chromium, "t=0 0", "t=0 0\r\n"), sdp.RuleSyntax, ""},
	{"a space in front", edit(chromium, "a=setup", " a=setup"), sdp.RuleSyntax, ""},
	{
		"an attribute without a name", edit(chromium, "a=setup", "a=:x\r\na=setup"),
		sdp.RuleSyntax, "a=:x",
	},
	{
		"two spaces in the m= line", edit(chromium, "audio 54609", "audio  54609"),
		sdp.RuleSyntax, "m=audio",
	},
	{
		"no formats", edit(chromium, "SAVPF 111 63 9 0 8 13 110 126", "SAVPF"),
		sdp.RuleSyntax, "m=audio",
	},
	{"a port range", edit(chromium, "audio 54609", "audio 54609/2"), sdp.RuleSyntax, "m=audio"},
	{"a port too high", edit(chromium, "audio 54609", "audio 65536"), sdp.RuleSyntax, "m=audio"},
	{"pictures", edit(chromium, "m=audio", "m=image"), sdp.RuleSyntax, "m=image"},
	{
		"a source in words", edit(chromium, "a=ssrc:3735928559 cname", "a=ssrc:x cname"),
		sdp.RuleSyntax, "a=ssrc:x",
	},
	{"too long", chromium + strings.Repeat("a=x\r\n", 13_000), sdp.RuleSize, ""},
	{"a long line", edit(chromium, "s=-", "s="+strings.Repeat("-", 2100)), sdp.RuleSize, ""},
	{
		"too many sections", chromium + strings.Repeat("m=video 0 UDP/TLS/RTP/SAVPF 0\r\n", 32),
		sdp.RuleSize, "",
	},
}

func lineOf(text, prefix string) int {
	n := 0
	for line := range strings.Lines(text) {
		n++
		if strings.HasPrefix(line, prefix) {
			return n
		}
	}
	return 0
}

func TestHostile(t *testing.T) {
	t.Parallel()
	for _, row := range hostile {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			d, err := sdp.Read(sdp.Offer, row.text, cert)
			require.Nil(t, d)
			violation, ok := errors.AsType[*sdp.Violation](err)
			require.True(t, ok)
			require.Equal(t, row.rule, violation.Rule, err)
			if row.at == "" {
				return
			}
			want := lineOf(row.text, row.at)
			require.NotZero(t, want)
			require.Equal(t, want, violation.Line, err)
			require.Contains(t, row.at, violation.Name)
			require.Contains(t, err.Error(), violation.Name)
		})
	}
}

func TestHostileAnswers(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		kind sdp.Kind
		text string
	}{
		"open role":            {sdp.Answer, firefox},
		"on hold":              {sdp.Answer, edit(answer, "active", "holdconn")},
		"we take no part":      {sdp.OwnAnswer, answer},
		"an answer as offer":   {sdp.Offer, answer},
		"our offer, as answer": {sdp.OwnAnswer, firefox},
	} {
		_, err := sdp.Read(row.kind, row.text, cert)
		violation, ok := errors.AsType[*sdp.Violation](err)
		require.True(t, ok, name)
		require.Equal(t, sdp.RuleSetup, violation.Rule, name)
	}
	_, err := sdp.Read(sdp.Answer, edit(answer, "a=setup", "a=ice-lite\r\na=setup"), cert)
	require.ErrorContains(t, err, sdp.RuleICELite)
}

// A refusal is shown to clients and written to logs: it quotes nothing.
func TestRefusalsQuoteNothing(t *testing.T) {
	t.Parallel()
	for _, row := range hostile {
		_, err := sdp.Read(sdp.Offer, row.text, cert)
		for _, secret := range []string{"inline:", "c2VjcmV0", "9uQn3c", "Xk2F", print, wrong} {
			require.NotContains(t, err.Error(), secret, row.name)
		}
	}
}

// TestForeignDescriptions decides on the descriptions of testdata/corpus.txt, which
// SALLYPORT_SDP_CORPUS names the folder of. The expected certificate of each is that of
// its first fingerprint.
func TestForeignDescriptions(t *testing.T) {
	t.Parallel()
	dir := os.Getenv("SALLYPORT_SDP_CORPUS")
	if dir == "" {
		t.Skip("SALLYPORT_SDP_CORPUS names no folder")
	}
	table, err := os.ReadFile("testdata/corpus.txt")
	require.NoError(t, err)
	want := map[string]string{}
	for line := range strings.Lines(string(table)) {
		if fields := strings.Fields(line); line[0] != '#' {
			want[fields[0]] = fields[1]
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.sdp"))
	require.NoError(t, err)
	counts := map[string]int{}
	for _, name := range files {
		raw, err := os.ReadFile(name)
		require.NoError(t, err)
		sum := sha256.Sum256(raw)
		id := hex.EncodeToString(sum[:6])
		if want[id] == "" {
			continue
		}
		kind, expected := foreign(t, string(raw))
		verdict := "accepted"
		d, err := sdp.Read(kind, string(raw), expected)
		if violation, ok := errors.AsType[*sdp.Violation](err); ok {
			verdict = violation.Rule
		} else {
			requireOurs(t, kind, d)
		}
		require.Equal(t, want[id], verdict, name)
		counts[verdict]++
		delete(want, id)
	}
	require.Empty(t, want, "not in the folder")
	require.GreaterOrEqual(t, counts["accepted"], 60)
	t.Log(len(files), counts)
}

var anyPrint = regexp.MustCompile(`(?i)a=fingerprint:sha-256 ([0-9A-F]{2}(?::[0-9A-F]{2}){31})`)

func foreign(t *testing.T, text string) (kind sdp.Kind, expected [32]byte) {
	t.Helper()
	if m := anyPrint.FindStringSubmatch(text); m != nil {
		raw, err := hex.DecodeString(strings.ReplaceAll(m[1], ":", ""))
		require.NoError(t, err)
		expected = [32]byte(raw)
	}
	if strings.Contains(text, "a=setup:") && !strings.Contains(text, "a=setup:actpass") {
		kind = sdp.Answer
	}
	return kind, expected
}

func FuzzRead(f *testing.F) {
	for _, row := range accepted {
		f.Add(uint8(row.kind), row.text)
	}
	for _, row := range hostile {
		f.Add(uint8(sdp.Offer), row.text)
	}
	f.Fuzz(func(t *testing.T, kind uint8, text string) {
		d, err := sdp.Read(sdp.Kind(kind%3), text, cert)
		if err != nil {
			require.Nil(t, d)
			return
		}
		require.Equal(t, print, d.Fingerprint)
		requireOurs(t, sdp.Kind(kind%3), d)
	})
}
