package media

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/webrtc/v4"

	"github.com/opsmantik/sallyport/examples/voice/sdp"
	"github.com/opsmantik/sallyport/hmacsig/ephemeral"
)

// peer is one session: from the offer until somebody ends it.
type peer struct {
	server  *Server
	call    string
	session ephemeral.Session
	ctx     context.Context // outlives the request of the offer
	causes  *causes

	negotiating sync.Mutex // one description after the other
	pc          *webrtc.PeerConnection
	transport   *webrtc.DTLSTransport
	out         *webrtc.TrackLocalStaticRTP // what the others say

	admitted  atomic.Bool   // the certificate has been checked: audio may flow
	admission chan struct{} // closed then
	ended     chan struct{} // closed at the end
	once      sync.Once
	why       string // it has ended; read it when ended is closed
}

func newPeer(ctx context.Context, s *Server, call string, session ephemeral.Session) *peer {
	return &peer{
		server: s, call: call, session: session, ctx: ctx, causes: newCauses(),
		admission: make(chan struct{}), ended: make(chan struct{}),
	}
}

// start makes the pion half.
func (p *peer) start() error {
	api, err := p.server.hardened(p.causes)
	if err != nil {
		return err
	}
	p.pc, err = api.NewPeerConnection(webrtc.Configuration{
		Certificates:  []webrtc.Certificate{p.server.certificate},
		BundlePolicy:  webrtc.BundlePolicyMaxBundle,
		RTCPMuxPolicy: webrtc.RTCPMuxPolicyRequire,
	})
	if err != nil {
		return err
	}
	p.out, err = webrtc.NewTrackLocalStaticRTP(opus, "audio", "room")
	if err != nil {
		return err
	}
	transceiver, err := p.pc.AddTransceiverFromTrack(p.out)
	if err != nil {
		return err
	}
	p.transport = transceiver.Sender().Transport()
	go p.drain(transceiver.Sender())
	p.pc.OnTrack(func(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) { p.receive(track) })
	p.transport.OnStateChange(func(state webrtc.DTLSTransportState) {
		switch state {
		case webrtc.DTLSTransportStateConnected:
			go p.admit() // not here: the transport is locked
		case webrtc.DTLSTransportStateFailed:
			go p.refusedHandshake()
		case webrtc.DTLSTransportStateClosed:
			go p.left()
		default:
		}
	})
	p.pc.OnConnectionStateChange(func(state webrtc.PeerConnectionState) {
		switch state {
		case webrtc.PeerConnectionStateFailed, webrtc.PeerConnectionStateClosed:
			go p.left()
		default:
		}
	})
	return nil
}

// drain reads RTCP, which pion wants to have read.
func (*peer) drain(sender *webrtc.RTPSender) {
	buffer := make([]byte, 1500)
	for {
		if _, _, err := sender.Read(buffer); err != nil {
			return
		}
	}
}

var errOtherSections = errors.New("media: the answer has other sections than the offer")

// answer hands pion a description of ours, and returns what we write of its own.
func (p *peer) answer(offer *sdp.Description) (string, error) {
	err := p.pc.SetRemoteDescription(webrtc.SessionDescription{
		Type: webrtc.SDPTypeOffer, SDP: offer.String(),
	})
	if err != nil {
		return "", err
	}
	answer, err := p.pc.CreateAnswer(nil)
	if err != nil {
		return "", err
	}
	gathered := webrtc.GatheringCompletePromise(p.pc)
	if err := p.pc.SetLocalDescription(answer); err != nil {
		return "", err
	}
	<-gathered
	own, err := sdp.Read(sdp.OwnAnswer, p.pc.LocalDescription().SDP, p.server.fingerprint)
	if err != nil {
		return "", err
	}
	if len(own.Sections) != len(offer.Sections) {
		return "", errOtherSections
	}
	for i := range own.Sections {
		own.Sections[i].Mid = offer.Sections[i].Mid
	}
	return own.String(), nil
}

// await gives the peer until the deadline for the handshake.
func (p *peer) await() {
	timer := time.AfterFunc(p.server.cfg.Handshake, func() {
		if !p.admitted.Load() {
			p.refusedHandshake()
		}
	})
	go func() {
		<-p.ended
		timer.Stop()
	}()
}

// left ends a session whose peer has said so, or is not heard any more.
func (p *peer) left() {
	if p.admitted.Load() {
		p.end(CodeEnded, nil)
		return
	}
	p.refusedHandshake()
}

func (p *peer) refusedHandshake() { p.end(CodeHandshakeRefused, p.causes.err()) }

// admit looks at the certificate once more, and lets audio flow.
func (p *peer) admit() {
	if err := check(p.transport.GetRemoteCertificate(), p.session.Certificate); err != nil {
		p.end(CodeCertificateRefused, err)
		return
	}
	d := &Decision{Session: p.session}
	if err := p.server.allow(p.ctx, CodeConnected, d); err != nil {
		p.end(CodeNotRecorded, err)
		return
	}
	select {
	case <-p.ended:
	default:
		p.admitted.Store(true)
		close(p.admission)
	}
}

// receive passes on what the peer says, until it ends.
func (p *peer) receive(track *webrtc.TrackRemote) {
	select {
	case <-p.admission:
	case <-p.ended:
		return
	}
	var sink Sink
	if p.server.cfg.Audio != nil {
		var err error
		if sink, err = p.server.cfg.Audio(p.ctx, p.call, p.session); err != nil {
			p.end(CodeMediaFailed, err)
			return
		}
		defer func() { _ = sink.Close() }()
	}
	var others []*peer
	for {
		packet, _, err := track.ReadRTP()
		if err != nil {
			return // the connection is closed, which is reported elsewhere
		}
		others = p.server.others(others[:0], p)
		for _, other := range others {
			if other.admitted.Load() {
				_ = other.out.WriteRTP(packet) // whoever is leaving hears no more
			}
		}
		if sink == nil || len(packet.Payload) == 0 {
			continue
		}
		if err := sink.Write(packet.SequenceNumber, packet.Timestamp, packet.Payload); err != nil {
			p.end(CodeMediaFailed, err)
			return
		}
	}
}

// end ends the session, once, for the first reason.
func (p *peer) end(code string, cause error) {
	p.once.Do(func() {
		p.why = code
		p.close()
		d := &Decision{Session: p.session, Ended: true}
		_ = p.server.report(p.ctx, code, d, code == CodeEnded, cause)
	})
}

// discard ends a session that nobody has been told of.
func (p *peer) discard() { p.once.Do(p.close) }

func (p *peer) close() {
	p.admitted.Store(false)
	p.server.leave(p)
	close(p.ended)
	go func() { // pion may be the caller, and waits for itself
		p.negotiating.Lock()
		defer p.negotiating.Unlock()
		if p.pc != nil {
			_ = p.pc.Close()
		}
	}()
}
