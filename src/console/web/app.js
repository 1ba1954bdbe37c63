// The live page. All text goes through textContent: what a caller sends can never become markup.
import { t, other, swap } from '/text.js';

const $ = (id) => document.getElementById(id);
const el = (tag, props = {}, ...children) => { const e = Object.assign(document.createElement(tag), props); e.append(...children.filter((c) => c != null)); return e; };
const tag = (text, tone = '') => el('span', { className: `tag ${tone}`, textContent: text });
const button = (text, act, stop = false) => el('button', { type: 'button', textContent: text, className: stop ? 'stop' : '', onclick: act });

let view = null, ahead = 0; // server clock minus ours, ms: timers agree on every screen
const ms = (micros) => micros / 1000;
const now = () => Date.now() + ahead;

async function api(method, path, body) {
  $('error').replaceChildren();
  const r = await fetch(`/api/v1${path}`, { method, headers: body ? { 'content-type': 'application/json' } : {}, body: body && JSON.stringify(body) });
  if (r.ok) return r.status === 204 ? null : r.json();
  const p = await r.json().catch(() => ({ detail: r.statusText }));
  $('error').replaceChildren(el('p', { textContent: `${r.status} ${p.code || ''}: ${p.detail}` }));
  throw new Error(p.detail);
}
const command = (method, path, body) => api(method, path, body).catch(() => {});

function timer(from, warm = 8, hot = 10) {
  const e = el('span', { className: 'timer' });
  e.dataset.from = ms(from); e.dataset.warm = warm; e.dataset.hot = hot;
  return e;
}
function tick() {
  for (const e of document.querySelectorAll('.timer')) {
    const s = Math.max(0, (now() - e.dataset.from) / 1000);
    e.textContent = s < 60 ? `${s.toFixed(1)} s` : `${Math.floor(s / 60)}:${String(Math.floor(s % 60)).padStart(2, '0')}`;
    e.classList.toggle('hot', s >= e.dataset.hot);
    e.classList.toggle('warm', s >= e.dataset.warm && s < e.dataset.hot);
  }
}

const who = (c) => el('span', { className: 'number', textContent: c.caller || t().unknown });
const tone = { signed_out: '', not_ready: 'warm', ready: 'good', reserved: 'blue', ringing: 'blue', talking: 'blue', wrap_up: 'warm', listening: 'blue', unreachable: 'hot' };

function listenButton(c) {
  const seats = view.seats.filter((s) => s.supervisor && s.registered);
  if (!seats.length) return null;
  return button(t().listen, () => { const seat = seats.length === 1 ? seats[0].seat : prompt(t().ask_seat, seats[0].seat); if (seat) command('POST', `/calls/${c.call}/listen`, { seat }); });
}
function waitingRow(c) {
  return el('div', { className: 'row' }, timer(c.received_at), who(c),
    el('span', { className: 'dim grow', textContent: `${c.called} · ${c.trunk ?? ''}` }),
    c.position != null ? tag(t().ahead(c.position)) : null, tag(t().call[c.state], 'blue'),
    c.seat ? tag(`${t().seat} ${c.seat}`) : null, c.wait_exceeded ? tag(t().exceeded, 'hot') : null, listenButton(c));
}
function talkRow(c) {
  const legs = c.legs.map((l) => el('span', {}, tag(`${l.party} ${t().leg[l.state] ?? l.state}`, l.state === 'up' ? 'good' : 'warm'),
    /^(caller|seat-|listener-)/.test(l.party) ? null : button(t().remove, () => command('DELETE', `/calls/${c.call}/parties/${l.leg}`))));
  return el('div', { className: 'row' }, timer(c.answered_at ?? c.received_at, 1e9, 1e9), who(c), el('span', { className: 'grow' }, ...legs),
    tag(t().call[c.state], 'good'),
    button(t().add, () => { const number = prompt(t().ask_number); const role = number && prompt(t().ask_role, 'doctor'); if (role) command('POST', `/calls/${c.call}/parties`, { number, role }); }),
    listenButton(c), button(t().hang_up, () => command('POST', `/calls/${c.call}/hang_up`), true));
}
function seatCard(s) {
  const acts = ['ready', 'wrap_up'].includes(s.state) || s.state === 'not_ready'
    ? [s.state !== 'ready' ? button(t().ready, () => command('POST', `/seats/${s.seat}/ready`)) : null,
       s.state !== 'not_ready' ? button(t().not_ready, () => { const reason = prompt(t().ask_reason); if (reason) command('POST', `/seats/${s.seat}/not_ready`, { reason }); }) : null] : [];
  return el('div', { className: `seat ${tone[s.state]}` }, el('b', { textContent: s.seat }), s.supervisor ? tag(t().supervisor) : null,
    el('p', { textContent: t().state[s.state] + (s.reason ? ` (${s.reason})` : '') }), timer(s.since, 1e9, 1e9), el('p', {}, ...acts.filter(Boolean)));
}
const fill = (id, rows, empty) => $(id).replaceChildren(...(rows.length ? rows : [el('p', { className: 'dim', textContent: empty })]));

function draw() {
  for (const e of document.querySelectorAll('[data-t]')) e.textContent = t()[e.dataset.t];
  $('language').textContent = other();
  if (!view) return;
  $('counters').textContent = t().counters(view);
  const talking = view.calls.filter((c) => c.answered_at != null), waiting = view.calls.filter((c) => c.answered_at == null);
  fill('waiting', waiting.map(waitingRow), t().none_waiting);
  fill('talking', talking.map(talkRow), t().none_talking);
  $('seats').replaceChildren(el('div', { className: 'grid' }, ...view.seats.map(seatCard)));
  fill('call-backs', view.call_backs.map((b) => el('div', { className: 'row' }, timer(b.due_at, 30, 60), el('span', { className: 'number grow', textContent: b.number || t().unknown }),
    b.calls > 1 ? tag(`×${b.calls}`, 'hot') : null, tag(b.reason, 'warm'),
    button(t().close, () => { const outcome = prompt(t().ask_outcome); if (outcome) command('POST', `/call_backs/${b.call_back}/close`, { outcome }); }))), t().none_call_back);
  $('alarms').replaceChildren(...view.alarms.map((a) => el('p', { textContent: `⚠ ${a.code} ${a.subject}: ${a.detail}` })));
  tick();
}

const facts = (pairs) => el('dl', {}, ...pairs.filter(([, v]) => v).flatMap(([k, v]) => [el('dt', { textContent: k }), el('dd', { textContent: v })]));
const place = (l) => [l.source, typeof l.civic === 'string' ? l.civic : l.civic?.detail, l.lat != null ? `${l.lat.toFixed(5)}, ${l.lon.toFixed(5)} ${l.crs_source ?? ''}` : '', l.radius_m ? `±${Math.round(l.radius_m)} m` : ''].filter(Boolean).join(' · ');

// Two lanes of peaks, one per track, drawn from what the server computed.
function lanes(peaks) {
  const canvas = el('canvas', { width: 1200, height: 192 }), g = canvas.getContext('2d');
  const colours = getComputedStyle(document.documentElement), h = canvas.height / Math.max(1, peaks.tracks.length);
  peaks.tracks.forEach((track, lane) => {
    g.fillStyle = colours.getPropertyValue(['--blue', '--good', '--warm'][lane % 3]) || '#888';
    track.peaks.forEach((p, i) => { const x = (i / track.peaks.length) * canvas.width, y = Math.max(1, p * h * 0.48); g.fillRect(x, lane * h + h / 2 - y, Math.max(1, canvas.width / track.peaks.length - 0.5), 2 * y); });
  });
  return canvas;
}
let shown = '';
async function records() {
  const [record] = await api('GET', '/records?limit=1').catch(() => []);
  const rows = await api('GET', '/deliveries?limit=12').catch(() => []);
  fill('deliveries', rows.length ? [el('table', {}, el('tr', {}, ...t().columns.map((c) => el('th', { textContent: c }))), ...rows.map((d) => el('tr', {},
    el('td', { textContent: d.destination }), el('td', { textContent: d.type }), el('td', { textContent: d.sequence }),
    el('td', {}, tag(t()[d.state] ?? d.state, d.state === 'delivered' ? 'good' : d.state === 'dead' ? 'hot' : 'warm')), el('td', { textContent: d.attempts }))))] : [], t().none_delivery);
  if (!record) { $('record').textContent = t().none_record; return; }
  const key = `${record.call_id}/${record.rev}/${other()}`;
  if (key === shown) return; // keeps a playing recording playing
  shown = key;
  const line = record.caller?.line ?? {}, cell = record.caller?.network;
  const parts = [facts([[t().serial, record.serial_no], [t().number, record.caller?.number?.display], [t().received, record.times?.received && new Date(record.times.received).toLocaleString()],
    [t().wait, record.metrics?.wait_ms != null && `${(record.metrics.wait_ms / 1000).toFixed(1)} s`], [t().seat, record.seats?.map((s) => s.seat_id).join(', ')],
    [t().outcome, t().outcomes[record.end?.result] ?? record.end?.result], [t().owner, line.owner], [t().address, line.install_address],
    [t().cell, cell && `${cell.mcc}-${cell.mnc} ${cell.tac}/${cell.cell_id}`], ...(record.locations ?? []).map((l) => [t().place, place(l)]), [t().incident, record.incident_id]])];
  const recording = record.recordings?.find((r) => r.sealed_at || r.sha256);
  if (recording) {
    const peaks = await api('GET', `/recordings/${record.call_id}/peaks?points=600`).catch(() => null);
    if (peaks) parts.push(el('div', { className: 'lane' }, ...peaks.tracks.map((p, i) => tag(`${t().track} ${i + 1}: ${p.party}`))), lanes(peaks));
    parts.push(el('audio', { controls: true, preload: 'none', src: `/api/v1/recordings/${record.call_id}/audio` }));
  } else parts.push(el('p', { className: 'dim', textContent: t().no_recording }));
  $('record').replaceChildren(...parts);
}

function live() {
  const source = new EventSource('/api/v1/live');
  source.onmessage = (m) => { view = JSON.parse(m.data); ahead = ms(view.at_now) - Date.now(); $('link').textContent = t().up; draw(); };
  source.onerror = () => { $('link').textContent = t().down; };
}
$('language').onclick = () => { swap(); shown = ''; draw(); records(); };
draw(); live(); records();
setInterval(tick, 100); setInterval(records, 1500);
