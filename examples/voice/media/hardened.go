package media

import (
	"context"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/dtls/v3/pkg/crypto/elliptic"
	"github.com/pion/ice/v4"
	"github.com/pion/logging"
	"github.com/pion/webrtc/v4"
)

// How long a peer may be silent. Chromium and Firefox ask for consent every 5 s
// (RFC 7675 section 5.1).
const (
	disconnectedAfter = 10 * time.Second
	failedAfter       = 20 * time.Second
)

// hardened returns pion with everything off that a voice call does not need. Each
// session has its own, because its log is the only place where pion says why a
// handshake failed.
func (s *Server) hardened(log logging.LoggerFactory) (*webrtc.API, error) {
	e := webrtc.SettingEngine{LoggerFactory: log}

	e.SetLite(true) // no checks of our own: nothing is sent to a candidate
	e.SetICEUDPMux(s.mux)
	e.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4, webrtc.NetworkTypeUDP6})
	e.DisableActiveTCP(true)
	e.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	e.SetICETimeouts(disconnectedAfter, failedAfter, 0)
	e.SetIncludeLoopbackCandidate(s.cfg.announced().IsLoopback())

	// RFC 8827 section 6.5, without what it allows beside GCM.
	e.SetDTLSCipherSuites(
		dtls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, dtls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
	)
	e.SetDTLSEllipticCurves(elliptic.X25519, elliptic.P256, elliptic.P384)
	e.SetDTLSExtendedMasterSecret(dtls.RequireExtendedMasterSecret) // RFC 7627
	e.SetSRTPProtectionProfiles(dtls.SRTP_AEAD_AES_256_GCM, dtls.SRTP_AEAD_AES_128_GCM)
	e.SetDTLSConnectContextMaker(func() (context.Context, func()) {
		return context.WithTimeout(context.Background(), s.cfg.Handshake)
	})
	// The peer proves that it is where it says before it costs a key exchange.
	e.SetDTLSInsecureSkipHelloVerify(false)
	if err := e.SetAnsweringDTLSRole(webrtc.DTLSRoleServer); err != nil {
		return nil, err
	}
	if s.cfg.Address.IsValid() {
		err := e.SetICEAddressRewriteRules(webrtc.ICEAddressRewriteRule{
			External: []string{s.cfg.Address.String()}, AsCandidateType: webrtc.ICECandidateTypeHost,
			Mode: webrtc.ICEAddressRewriteReplace,
		})
		if err != nil {
			return nil, err
		}
	}
	if s.loosen != nil {
		s.loosen(&e)
	}
	m := &webrtc.MediaEngine{}
	err := m.RegisterCodec(webrtc.RTPCodecParameters{
		RTPCodecCapability: opus, PayloadType: 111,
	}, webrtc.RTPCodecTypeAudio)
	return webrtc.NewAPI(webrtc.WithSettingEngine(e), webrtc.WithMediaEngine(m)), err
}

var opus = webrtc.RTPCodecCapability{
	MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2,
	SDPFmtpLine: "minptime=10;useinbandfec=1",
}
