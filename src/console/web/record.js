// Call records with their recordings, and what was delivered of them.
import { $, api, el, rows, span, tag, tell, button } from '/parts.js';
import { complainButton } from '/duty.js';
import { formButton, formFacts } from '/form.js';
import { t } from '/text.js';

let chosen = null, drawn = '', first = true; // a person's choice stays; else the newest complete one is shown
export const when = (text) => (text ? new Date(text).toLocaleTimeString(t().name === 'zh' ? 'zh-CN' : 'en-GB') : '');
const seconds = (ms) => (ms == null ? '' : span(ms / 1000));
const sealed = (r) => r.recordings?.find((one) => one.sha256);
export const outcome = (r) => t().outcomes[r.end?.result ?? 'open'] ?? r.end.result;
export const tone = (r) => ({ answered: 'good', abandoned: 'warm', lost: 'hot', refused_capacity: 'hot' })[r.end?.result] ?? 'blue';

export const facts = (pairs) => el('dl', {}, pairs.filter(([, v]) => v).flatMap(([k, v]) => [el('dt', { textContent: k }), el('dd', { textContent: v })]));
export const place = (l) => [t().source[l.source] ?? l.source, typeof l.civic === 'string' ? l.civic : l.civic?.detail,
  l.lat != null ? `${l.lat.toFixed(5)}, ${l.lon.toFixed(5)} ${l.crs ?? ''}` : '', l.radius_m ? `±${Math.round(l.radius_m)} m` : ''].filter(Boolean).join(' · ');
const order = (o) => [t().order[o.cancelled_at || o.cancelled ? 'cancelled' : o.reassigned_from ? 'reassigned' : 'issued'], o.reassigned_from ? `${o.reassigned_from.join(' → ')} → ${o.vehicle}` : o.vehicle, o.station, o.reason].filter(Boolean).join(' · ');

// One lane of peaks per track, computed by the server; the played part is stronger. A click plays from there.
function lanes(peaks, audio) {
  const probe = el('span'); document.body.append(probe); // resolves light-dark()
  const colour = (name) => { probe.style.color = `var(${name})`; return getComputedStyle(probe).color; };
  const colours = ['--blue', '--good', '--warm'].map(colour); probe.remove();
  const draws = [], at = el('div', { className: 'at' });
  const box = el('div', { className: 'lanes' }, peaks.tracks.flatMap((track, n) => {
    const canvas = el('canvas', { width: 1000, height: 92, title: track.party }), g = canvas.getContext('2d'), w = canvas.width / track.peaks.length;
    draws.push((played) => {
      g.clearRect(0, 0, canvas.width, canvas.height);
      g.fillStyle = colours[n % 3];
      track.peaks.forEach((p, i) => {
        g.globalAlpha = i / track.peaks.length < played ? 1 : 0.5;
        const y = Math.max(1, Math.sqrt(p) * 44);
        g.fillRect(i * w, 46 - y, Math.max(1, w - 0.5), 2 * y);
      });
      g.globalAlpha = 1;
    });
    canvas.onclick = (e) => { audio.currentTime = (e.offsetX / canvas.clientWidth) * peaks.duration_ms / 1000; audio.play(); };
    return [el('span', { textContent: t().party(track.party) }), canvas];
  }), at);
  const draw = () => {
    const length = peaks.duration_ms / 1000;
    for (const one of draws) one(audio.currentTime / length);
    at.textContent = `${span(audio.currentTime)} / ${span(length)}`;
  };
  audio.ontimeupdate = draw; draw();
  return box;
}

async function show(record) {
  const recording = sealed(record);
  const key = `${record.call_id}/${record.rev}/${t().name}/${recording?.sha256}`;
  if (key === drawn) return;
  const audio = $('record').querySelector('audio');
  if (audio && !audio.paused && audio.dataset.call === record.call_id && drawn.includes(`/${t().name}/`)) return; // keeps a playing recording playing
  drawn = key;
  const line = record.caller?.line ?? {}, cell = record.caller?.network;
  const parts = [facts([[t().serial, record.serial_no], [t().number, record.caller?.number?.display || t().unknown], [t().received, when(record.times?.received)],
    [t().wait, seconds(record.metrics?.wait_ms)], [t().talk, seconds(record.metrics?.talk_ms)], [t().seat, record.seats?.filter((s) => s.result === 'answered').map((s) => s.seat_id).join(', ')],
    [t().outcome, outcome(record)], [t().history, record.history?.count ? t().times(record.history.count) : ''], [t().owner, line.owner], [t().address, line.install_address],
    [t().cell, cell && `${cell.mcc}-${cell.mnc} ${cell.tac}/${cell.cell_id}`], ...(record.locations ?? []).map((l) => [t().place, place(l)]),
    ...(record.dispatch?.orders ?? []).map((o) => [t().orders, order(o)]), ...(record.group_calls ?? []).map((g) => [t().group_calls, [g.group, t().group.acked(g.targets.filter((x) => x.result === 'acknowledged').length, g.targets.length)].filter(Boolean).join(' ')]), ...(record.joined_calls ?? []).map((j) => [t().joined, j.serial_no]), [t().incident, record.incident_id], [t().crew, record.crew?.numbers?.join(' ')], ...formFacts(record)]),
    el('p', { className: 'acts' }, formButton(record.call_id, record.caller?.number?.display || t().unknown), complainButton(record.call_id, record.caller?.number?.display || t().unknown), record.legal_hold ? tag(t().held, 'warm') : null)];
  if (recording) {
    const play = el('audio', { controls: true, preload: 'none', src: `/api/v1/recordings/${record.call_id}/audio` });
    play.dataset.call = record.call_id;
    play.onerror = () => tell(`${t().recording}: ${record.serial_no}`, true);
    const peaks = await api('GET', `/recordings/${record.call_id}/peaks?points=500`).catch(() => null);
    if (drawn !== key) return; // another one was chosen meanwhile
    if (peaks) parts.push(lanes(peaks, play));
    parts.push(play);
  } else parts.push(el('p', { className: 'dim', textContent: record.end && !record.recordings?.length ? t().no_recording_ever : t().no_recording }));
  $('record').replaceChildren(...parts);
}

/// Shown until another is chosen.
export function choose(call) { chosen = call; refresh(); }
function listed(record) {
  const e = button('choose', '', () => choose(record.call_id));
  e.setAttribute('aria-current', String(record.shown));
  e.append(el('span', { className: 'number', textContent: record.number }), tag(record.outcome, record.tone), el('small', { textContent: when(record.received) }), el('small', { textContent: record.recorded ? '♪' : '' }));
  return e;
}

function delivery(d) {
  return el('tr', {}, el('td', { textContent: when(d.delivered_at ?? d.created_at) }), el('td', { textContent: d.destination }), el('td', { textContent: d.type }), el('td', { textContent: d.sequence }),
    el('td', {}, tag(t()[d.state] ?? d.state, d.state === 'delivered' ? 'good' : d.state === 'dead' ? 'hot' : 'warm')), el('td', { textContent: d.attempts }),
    el('td', { className: 'grow small hot', title: d.last_error ?? '', textContent: d.last_error ?? '' }));
}

/// Look again; errors are told once, not every second.
export async function refresh() {
  try {
    const [found, sent] = await Promise.all([api('GET', '/records?limit=12'), api('GET', '/deliveries?limit=24')]);
    const older = chosen && !found.some((r) => r.call_id === chosen) ? await api('GET', `/records/${chosen}`).catch(() => null) : null;
    const shown = older ?? found.find((r) => r.call_id === chosen) ?? found.find((r) => r.end && sealed(r) && r.end.result === 'answered') ?? found.find(sealed) ?? found[0];
    rows($('records'), found.map((r) => ({ call_id: r.call_id, number: r.caller?.number?.display || t().unknown, outcome: outcome(r), tone: tone(r), received: r.times?.received, recorded: !!sealed(r), shown: r === shown })), (r) => r.call_id, listed, t().none_record);
    if (shown) await show(shown);
    if (!$('deliveries').querySelector('tbody') || $('deliveries').dataset.language !== t().name) {
      $('deliveries').dataset.language = t().name;
      $('deliveries').replaceChildren(el('table', {}, el('thead', {}, el('tr', {}, t().columns.map((c) => el('th', { textContent: c })))), el('tbody')));
    }
    rows($('deliveries').querySelector('tbody'), sent, (d) => String(d.id), delivery);
    first = true;
  } catch (error) {
    if (first) tell(error.message, true);
    first = false;
  }
}
export const redraw = () => { drawn = ''; refresh(); };
export function playOrPause() {
  const audio = $('record').querySelector('audio');
  if (audio) audio.paused ? audio.play() : audio.pause();
}
