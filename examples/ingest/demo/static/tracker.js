// A small tracker that keeps the wire contract of POST /api/sync and
// /api/call-event/v2. It is a demonstration, not a product.
'use strict';
(() => {
  const script = document.currentScript;
  const site = script.dataset.opsSiteId;
  const secret = script.dataset.opsSecret;
  const api = script.dataset.api;
  const callAPI = api.replace('/api/sync', '') + '/api/call-event/v2';
  const session = crypto.randomUUID();
  const started = Date.now();
  const outbox = new Set(); // sent and not yet acknowledged: sent again at unload

  const event = (category, action, label, meta) => ({
    s: site, u: location.href, sid: session, sm: new Date().toISOString().slice(0, 8) + '01',
    ec: category, ea: action, el: label, ev: null, r: document.referrer,
    meta: { fp: 'demo', om_tracker_version: 'sallyport-demo', ...meta },
    consent_scopes: ['analytics'],
  });

  const show = (what, status) => {
    const line = document.createElement('li');
    line.textContent = what + ': ' + status;
    document.getElementById('log').append(line);
  };

  async function send(e) {
    const body = JSON.stringify(e);
    outbox.add(body);
    try {
      const response = await fetch(api + '?_ts=' + Date.now(), {
        method: 'POST', body, credentials: 'omit', keepalive: true,
        headers: { 'Content-Type': 'text/plain' },
      });
      if (response.status < 500 && response.status !== 429) outbox.delete(body);
      show(e.ec + '/' + e.ea, response.status);
    } catch {
      show(e.ec + '/' + e.ea, 'refused or unreachable');
    }
  }

  const hex = (buffer) =>
    Array.from(new Uint8Array(buffer), (b) => b.toString(16).padStart(2, '0')).join('');

  async function sign(text) {
    const utf8 = new TextEncoder();
    const key = await crypto.subtle.importKey(
      'raw', utf8.encode(secret), { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']);
    return hex(await crypto.subtle.sign('HMAC', key, utf8.encode(text)));
  }

  async function call(phone, stamp) {
    const body = JSON.stringify({
      event_id: crypto.randomUUID(), site_id: site, phone_number: phone, fingerprint: 'demo',
      action: 'phone', intent_action: 'phone', intent_target: phone, intent_stamp: stamp,
      intent_page_url: location.href, url: location.href, ua: navigator.userAgent,
      gclid: null, wbraid: null, gbraid: null,
    });
    const ts = String(Math.floor(Date.now() / 1000));
    try {
      const response = await fetch(callAPI, {
        method: 'POST', body, credentials: 'omit', keepalive: true,
        headers: {
          'Content-Type': 'text/plain', 'X-Ops-Site-Id': site, 'X-Ops-Ts': ts,
          'X-Ops-Signature': await sign(ts + '.' + body),
        },
      });
      show('call-event', response.status);
    } catch {
      show('call-event', 'refused or unreachable');
    }
  }

  document.getElementById('call').addEventListener('click', (click) => {
    click.preventDefault(); // there may be no telephone here
    const phone = click.target.getAttribute('href').slice('tel:'.length);
    const stamp = Date.now() + '-' + crypto.randomUUID().slice(0, 8);
    send(event('conversion', 'phone_call', 'tel:' + phone, {
      intent_stamp: stamp, intent_action: 'phone', intent_target: phone,
    }));
    call(phone, stamp);
  });

  setInterval(() => {
    if (document.visibilityState === 'visible') send(event('system', 'heartbeat', '', {}));
  }, 60_000);

  addEventListener('pagehide', () => {
    const end = event('system', 'session_end', 'page_unload', {
      duration_sec: Math.round((Date.now() - started) / 1000),
    });
    const events = [...outbox].map((body) => JSON.parse(body)).concat(end);
    navigator.sendBeacon(api, JSON.stringify({ events }));
  });

  send(event('interaction', 'view', '', {}));
})();
