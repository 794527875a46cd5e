'use strict'

const $ = (id) => document.getElementById(id)
const site = 'shop'
let pc

// What people can do about a refusal. The server's title says what it is.
const advice = {
  request_replayed: 'This token has been used already. A token opens one session: join without one to get your own.',
  signature_expired: 'This token is too old. Join again to get a new one.',
  signature_claims_mismatch: 'This token is for another room.',
  voice_description_refused: 'What this browser offers was refused. If you did not change it, somebody else did.',
  voice_room_full: 'There are two in this room already.',
  voice_revoked: 'Your access has been taken back. Sign in again.',
  voice_call_ongoing: 'End the call first.',
  rate_limited: 'You have asked for too many tokens. Wait a minute.',
  session_required: 'Sign in first.',
  identity_required: 'Sign in first.',
}

class Refused extends Error {}

// send posts, and turns a problem document (RFC 9457) into words.
async function send(path, type, body, headers = {}, method = 'POST') {
  const res = await fetch(path, { method, body, headers: { 'Content-Type': type, ...headers } })
  if (res.ok) return res
  const problem = await res.json().catch(() => ({}))
  const where = problem.rule ? ` Line ${problem.line}, rule "${problem.rule}": ${problem.detail}.` : ''
  throw new Refused(`${problem.title ?? res.statusText} (${problem.code ?? res.status}). ` +
    `${advice[problem.code] ?? ''}${where}`)
}

const sendJSON = (path, value) => send(path, 'application/json', JSON.stringify(value))

async function join() {
  leave()
  const place = `/sites/${site}/rooms/${encodeURIComponent($('room').value)}`
  // The certificate is made first, so that the token can name it.
  const certificate = await RTCPeerConnection.generateCertificate({ name: 'ECDSA', namedCurve: 'P-256' })
  const print = certificate.getFingerprints().find((f) => f.algorithm === 'sha-256').value
  let token = $('token').value.trim()
  let turn
  if (!token) {
    const res = await sendJSON(`${place}/token`, { fingerprint: print.toUpperCase() });
    ({ token, turn } = await res.json())
  }
  $('used').textContent = token
  const microphone = await navigator.mediaDevices.getUserMedia({ audio: true })
  pc = new RTCPeerConnection({
    certificates: [certificate], bundlePolicy: 'max-bundle', iceServers: turn ? [turn] : [],
    // /?relay goes through the TURN server alone, to see that it works.
    iceTransportPolicy: location.search === '?relay' ? 'relay' : 'all',
  })
  const track = microphone.getAudioTracks()[0]
  pc.addTransceiver(track, { direction: 'sendrecv' })
  pc.ontrack = (e) => { $('audio').srcObject = new MediaStream([e.track]) }
  pc.onconnectionstatechange = () => { if (pc) show(pc.connectionState) }
  await pc.setLocalDescription()
  const res = await send(`${place}/offer`, 'application/sdp', pc.localDescription.sdp,
    { Authorization: `Bearer ${token}` })
  await pc.setRemoteDescription({ type: 'answer', sdp: await res.text() })
  $('leave').disabled = false
}

function leave() {
  if (!pc) return
  pc.getSenders().forEach((s) => s.track?.stop())
  pc.close()
  pc = undefined
  $('leave').disabled = true
  show('left')
}

function show(state) {
  $('status').textContent = state
  if (state === 'failed' || state === 'closed') $('why').textContent = 'The connection has ended: refused, revoked, or lost.'
}

// facts shows what protects the call, from the browser's own view.
async function facts() {
  if (!pc) return
  const seen = {}
  for (const s of (await pc.getStats()).values()) {
    if (s.type === 'transport') {
      seen['DTLS'] = `${s.tlsVersion ?? ''} ${s.dtlsCipher ?? ''}`
      seen['SRTP'] = s.srtpCipher ?? ''
    }
    if (s.type === 'inbound-rtp') seen['Packets heard'] = s.packetsReceived
    if (s.type === 'outbound-rtp') seen['Packets said'] = s.packetsSent
  }
  $('facts').replaceChildren(...Object.entries(seen).flatMap(([name, value]) => {
    const dt = document.createElement('dt'), dd = document.createElement('dd')
    dt.textContent = name
    dd.textContent = value
    return [dt, dd]
  }))
}
setInterval(facts, 500)

// Recordings. A link lives for minutes, and a player that meets a refusal is dead even for
// what it has: so the page renews the link before it ends, and goes on where it was.
let renewal

async function play(recording, at = 0, paused = false) {
  clearTimeout(renewal)
  const res = await sendJSON(
    `/sites/${site}/recordings/${recording.call}/${recording.track}/link`, {})
  const link = await res.json()
  const player = $('player')
  player.src = link.url
  player.currentTime = at
  $('playing').textContent = link.finished ? 'finished' : 'unfinished: the end is missing'
  if (!paused) await player.play()
  renewal = setTimeout(doing(() => play(recording, player.currentTime, player.paused)),
    link.seconds * 800)
}

async function list() {
  const res = await fetch(`/sites/${site}/recordings`)
  const all = res.ok ? await res.json() : []
  $('recordings').replaceChildren(...all.map((recording) => {
    const li = document.createElement('li'), button = document.createElement('button')
    const erase = document.createElement('button')
    button.textContent = `Play ${recording.call} ${recording.track}`
    button.addEventListener('click', doing(() => play(recording)))
    erase.textContent = 'Erase the call'
    erase.addEventListener('click', doing(async () => {
      clearTimeout(renewal)
      $('player').removeAttribute('src')
      await send(`/sites/${site}/recordings/${recording.call}`, 'application/json', '{}', {}, 'DELETE')
      await list()
    }))
    li.append(button, ' ', erase)
    return li
  }))
}

// doing runs what a button does, and says why if it is refused.
const doing = (what) => async (event) => {
  event?.preventDefault()
  $('why').textContent = ''
  try {
    await what()
  } catch (e) {
    leave()
    $('status').textContent = e instanceof Refused ? 'refused' : 'failed'
    $('why').textContent = e.message
  }
}

$('login').addEventListener('submit', doing(async () => {
  await sendJSON('/login', { user: $('user').value })
  $('status').textContent = `signed in as ${$('user').value}`
}))
$('logout').addEventListener('click', doing(async () => {
  await send('/logout', 'application/json', '{}')
  leave()
  $('status').textContent = 'signed out'
}))
$('join').addEventListener('submit', doing(join))
$('leave').addEventListener('click', doing(leave))
$('refresh').addEventListener('click', doing(list))
